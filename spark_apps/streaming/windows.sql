-- events of windows that were still open when they came, added up; priced_events are the fresh ones
with placed as (
    select *, epoch_us(event_time) as micros from priced_events where not late)
select make_timestamp(micros - ((micros % getvariable('window_micros')) + getvariable('window_micros'))
        % getvariable('window_micros')) as window_start,
    count(*) as events,
    count(*) filter (event_type = 'view') as views,
    count(*) filter (event_type = 'cart') as carts,
    count(*) filter (event_type = 'purchase') as purchases,
    count(*) filter (event_type = 'remove_from_cart') as removals,
    coalesce(sum(amount) filter (event_type = 'purchase'), 0) as revenue
from placed
group by window_start
