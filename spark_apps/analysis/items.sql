-- products as they were last called, category codes and brands, with the sums of all users; revenue to the cent
with newest as (
    select kind, item, max((last_time, category_code, brand)) as newest from item_sums group by kind, item),
sums as (
    select kind, item, any_value(product_id) as product_id, sum(views) as views, sum(carts) as carts,
        sum(purchases) as purchases, coalesce(sum(revenue), 0)::decimal(38, 2)::double as revenue
    from item_sums group by kind, item)
select kind, product_id, newest[2] as category_code, newest[3] as brand, views, carts, purchases, revenue
from sums join newest using (kind, item)
