-- LAST_DATES: users by the date of their last event
select date, count(*) as users
from (select max(event_time)::date as date from events group by user_id)
group by date
