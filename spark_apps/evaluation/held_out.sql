-- what users with a history touch for the first time after the cutoff
with later as (
    select user_id, product_id, min(event_time) as first_time,
        count(*) filter (event_type = 'view') as views,
        count(*) filter (event_type = 'cart') as carts,
        count(*) filter (event_type = 'purchase') as purchases,
        count(*) filter (event_type = 'remove_from_cart') as removals
    from events group by user_id, product_id)
select user_id, first_time, product_id,
    least(
        views * getvariable('view_score') + carts * getvariable('cart_score')
        + purchases * getvariable('purchase_score') + removals * getvariable('removal_score'),
        getvariable('score_cap')) as score
from later semi join interactions using (user_id) anti join interactions using (user_id, product_id)
order by user_id, product_id
