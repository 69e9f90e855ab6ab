-- the batch's events by type; priced_events are the fresh ones
select event_type, count(*) as events, count(distinct user_id) as users, count(amount) as priced,
    coalesce(sum(amount), 0) as value
from priced_events
group by event_type
