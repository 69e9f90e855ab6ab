-- LAST_MINUTES: users by the minute of their last event
with users as (select max(event_time) as last from events group by user_id)
select max(last) as last, count(*) as users from users group by epoch_us(last) // 60000000
