-- sums over the batch's users and their sessions, which stand in one bucket each
with visits as (
    select count(*) as events, epoch_us(max(event_time)) // 1000000 - epoch_us(min(event_time)) // 1000000 as seconds
    from fresh where user_session is not null group by user_id, user_session),
known as (select distinct user_id from past)
select (select count(distinct user_id) from fresh) as users,
    (select count(distinct user_id) from fresh anti join known using (user_id)) as new_users,
    count(*) as sessions, coalesce(sum(events), 0)::bigint as session_events,
    coalesce(sum(seconds), 0)::bigint as session_seconds
from visits
