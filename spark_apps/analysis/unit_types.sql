-- users, visits, and pairs of user and product by the event types that each of them has
with users as (select bit_or(types) as types from pairs group by user_id)
select 'users' as unit, types, count(*) as units from users group by types union all
select 'sessions', types, count(*) from visits group by types union all
select 'pairs', types, count(*) from pairs group by types
