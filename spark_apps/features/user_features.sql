-- schemas.USER_FEATURES
with visits as (
    select user_id, epoch_us(max(event_time)) // 1000000 - epoch_us(min(event_time)) // 1000000 as seconds
    from events where user_session is not null group by user_id, user_session),
sessions as (
    select user_id, count(*) as sessions, sum(seconds)::double / 60 / count(*) as mean_session_minutes
    from visits group by user_id),
-- once over the events for all that is asked of their times
hours as materialized (
    select user_id, time_bucket(interval 1 hour, event_time) as start, count(*) as events,
        min(event_time) as first_seen, max(event_time) as last_seen
    from events group by all),
preferred as (
    select user_id, max_by(hour, events * 24 - hour) as preferred_hour
    from (select user_id, hour(start) as hour, sum(events) as events from hours group by all) group by user_id),
days as (
    select user_id, count(*) as frequency, min(first_seen) as first_seen, max(last_seen) as last_seen
    from (
        select user_id, start::date as day, min(first_seen) as first_seen, max(last_seen) as last_seen
        from hours group by all)
    group by user_id),
-- distinct values of a user by grouping twice, a third of the time of count(distinct)
categories as (
    select user_id, count(*) as unique_categories
    from (select user_id, category_code from events group by all) group by user_id),
brands as (
    select user_id, count(*) as unique_brands from (select user_id, brand from events group by all) group by user_id),
products as (
    select user_id, count(*) as unique_products, sum(events) as total_events, sum(views) as views, sum(carts) as carts,
        sum(purchases) as purchases, sum(removals) as removals, sum(priced) as priced, sum(price_sum) as price_sum
    from pairs group by user_id),
bought as (select user_id, sum(amount) as spent from priced_events where event_type = 'purchase' group by user_id)
select user_id,
    least(greatest(0, date_diff('day', last_seen::date, getvariable('last_date'))),
        date_diff('day', getvariable('first_date'), getvariable('last_date'))) as recency,
    frequency, coalesce(spent::double, 0) as monetary, total_events, views, carts, purchases, removals,
    unique_products, unique_categories, unique_brands,
    case when priced > 0 then price_sum::double / priced end as avg_price,
    case when views > 0 then purchases::double / views else 0 end as conversion_rate,
    case when carts > purchases then (carts - purchases)::double / carts else 0 end as cart_abandonment,
    coalesce(sessions, 0) as sessions, mean_session_minutes, first_seen, last_seen, preferred_hour
from products join days using (user_id) join categories using (user_id)
    join brands using (user_id) join preferred using (user_id) left join sessions using (user_id)
    left join bought using (user_id)
order by user_id
