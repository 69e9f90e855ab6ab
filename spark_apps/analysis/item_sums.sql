-- sums of some users' events on each product by what it is called, each category code and each brand; item: its key
with described as (
    select product_id, category_code, brand,
        count(*) filter (event_type = 'view') as views, count(*) filter (event_type = 'cart') as carts,
        count(*) filter (event_type = 'purchase') as purchases,
        sum(amount) filter (event_type = 'purchase') as revenue, max(event_time) as last_time
    from priced_events group by product_id, category_code, brand)
select 'products' as kind, product_id::varchar as item, product_id, category_code, brand,
    views, carts, purchases, revenue, last_time
from described union all
select 'categories', category_code, null, category_code, null,
    sum(views), sum(carts), sum(purchases), sum(revenue), null
from described where category_code <> 'unknown' group by category_code union all
select 'brands', brand, null, null, brand, sum(views), sum(carts), sum(purchases), sum(revenue), null
from described where brand <> 'unknown' group by brand
