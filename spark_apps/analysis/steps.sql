-- events of a share of the users; kind: the order in which events of the same second are read
select user_id, user_session, product_id, category_code, event_time::date as day,
    epoch_us(event_time) // 1000000 as seconds,
    case event_type when 'view' then 0 when 'cart' then 1 when 'remove_from_cart' then 2 else 3 end as kind
from events
where hash(user_id) % getvariable('shares') = getvariable('share')
