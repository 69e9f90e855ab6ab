-- sessions by their id, whoever was in them: events, and seconds from the first to the last
select count(*) as events,
    epoch_us(max(event_time)) // 1000000 - epoch_us(min(event_time)) // 1000000 as seconds
from events where user_session is not null
group by user_session
