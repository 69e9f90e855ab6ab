-- sums of some users' events on each product by what it is called: sums of disjoint users add up
with described as (
    select product_id, category_code, brand, max(event_time) as described_last
    from events group by product_id, category_code, brand),
newest as (
    select product_id, max((described_last, category_code, brand)) as newest
    from described group by product_id),
sums as (
    select product_id, sum(events) as events, sum(views) as views, sum(carts) as carts, sum(purchases) as purchases,
        sum(removals) as removals,
        sum(priced) as priced, sum(price_sum) as price_sum, count(*) as unique_users, max(last_time) as last_time
    from pairs group by product_id)
select sums.*, newest[2] as category_code, newest[3] as brand
from sums join newest using (product_id)
