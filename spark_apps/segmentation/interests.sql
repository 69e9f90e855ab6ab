-- affinities.INTERESTS of some users: how much each segment cares for each category and brand, and how many users do
with placed as (
    select user_id, segment, category_code, brand, least(score, 1e20)::decimal(38, 9) as score
    from interactions join products using (product_id) join segments using (user_id)
    where score > 0),
by_user as (
    select user_id, segment, 'categories' as dimension, category_code as value, sum(score) as score
    from placed where category_code <> getvariable('unknown') group by all
    union all
    select user_id, segment, 'brands' as dimension, brand as value, sum(score) as score
    from placed where brand <> getvariable('unknown') group by all)
select segment, dimension, value, sum(score) as score, count(*) as users
from by_user
group by segment, dimension, value
