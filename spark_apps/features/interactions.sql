-- schemas.INTERACTIONS: how much each user cares for a product
select user_id, product_id,
    least(
        views * getvariable('view_score') + carts * getvariable('cart_score')
        + purchases * getvariable('purchase_score') + removals * getvariable('removal_score'),
        getvariable('score_cap')) as score,
    events as interaction_count, purchases, last_time
from pairs
order by user_id, product_id
