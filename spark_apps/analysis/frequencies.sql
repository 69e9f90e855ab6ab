-- users by their visits, and by the dates on which they did anything
with sessions as (select count(*) as number from visits group by user_id),
days as (select count(*) as number from (select user_id, day from steps group by user_id, day) group by user_id)
select 'sessions_per_user' as figure, number, count(*) as users from sessions group by number union all
select 'days_per_user', number, count(*) from days group by number
