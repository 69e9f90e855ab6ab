-- a row per drawn user: what models know of it, and what it touched later, in that order
with touched as (
    select user_id, list(product_id order by product_id) as products,
        list(score::float order by product_id) as scores,
        list(coalesce(purchases > 0, false) order by product_id) as bought
    from learned semi join drawn using (user_id) group by user_id),
later as (
    select user_id, list({'product_id': product_id, 'score': score} order by first_time, product_id) as held
    from held semi join drawn using (user_id) group by user_id)
select block, user_id, segment, features, products, scores, bought, held
from drawn join segments using (user_id) join touched using (user_id) join later using (user_id)
    left join factors using (user_id)
order by user_id
