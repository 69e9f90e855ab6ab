-- schemas.EVENTS of the lines that nothing speaks against, in the order of the lines
select event_time, event_type, product_id, category_id, category_code, brand,
    case when price > 0 then price end as price, user_id, user_session,
    hour(event_time) as hour, minute(event_time) as minute, second(event_time) as second,
    day(event_time) as day, month(event_time) as month, dayofweek(event_time) + 1 as dayofweek,
    date_trunc('hour', event_time) as hour_bucket, event_time::date as date
from judged_lines where reason is null
order by number
