-- rows beyond the first of each set of equal rows; three numbers find those worth a look in half the time
with alike as (
    select user_id, event_time, product_id from events
    where hash(user_id) % getvariable('shares') = getvariable('share')
    group by user_id, event_time, product_id having count(*) > 1),
sets as (
    select count(*) as copies from events semi join alike using (user_id, event_time, product_id)
    group by event_time, event_type, product_id, category_id, category_code, brand, price, user_id, user_session)
select coalesce(sum(copies - 1), 0) as duplicates from sets
