-- events, prices and what is missing by type, date and hour
select event_type, event_time::date as date, hour(event_time) as hour, count(*) as events,
    count(amount) as priced, sum(amount) as price_sum, min(price) as price_min, max(price) as price_max,
    count(*) - count(event_time) as missing_event_time, count(*) - count(event_type) as missing_event_type,
    count(*) - count(product_id) as missing_product_id, count(*) - count(category_id) as missing_category_id,
    count(*) filter (category_code = 'unknown') as missing_category_code,
    count(*) filter (brand = 'unknown') as missing_brand,
    count(*) - count(price) as missing_price, count(*) - count(user_id) as missing_user_id,
    count(*) - count(user_session) as missing_user_session
from priced_events
group by all
