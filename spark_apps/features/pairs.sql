-- one row per user and product that met: events by type, prices as exact decimals, the last time
select user_id, product_id, count(*) as events,
    count(*) filter (event_type = 'view') as views,
    count(*) filter (event_type = 'cart') as carts,
    count(*) filter (event_type = 'purchase') as purchases,
    count(*) filter (event_type = 'remove_from_cart') as removals,
    count(amount) as priced,
    sum(amount) as price_sum,
    max(event_time) as last_time
from priced_events
group by user_id, product_id
