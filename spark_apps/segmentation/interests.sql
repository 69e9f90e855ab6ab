-- affinities.INTERESTS of some users: how much each segment cares for each category and brand, and how many users do;
-- grouped by numbers of categories and brands, in two thirds of the time that their names take
with kinds as (
    select product_id, category_code, brand, dense_rank() over (order by category_code) as category_number,
        dense_rank() over (order by brand) as brand_number
    from products),
liked as (
    select user_id, category_number, brand_number, least(score, 1e20)::decimal(38, 9) as score
    from interactions join kinds using (product_id) where score > 0),
by_user as (
    select user_id, 'categories' as dimension, category_number as number, sum(score) as score from liked group by all
    union all
    select user_id, 'brands' as dimension, brand_number as number, sum(score) as score from liked group by all),
named as (
    select distinct 'categories' as dimension, category_number as number, category_code as value from kinds
    union all
    select distinct 'brands' as dimension, brand_number as number, brand as value from kinds),
sums as (
    select segment, dimension, number, sum(score) as score, count(*) as users
    from by_user join segments using (user_id) group by all)
select segment, dimension, value, score, users
from sums join named using (dimension, number)
where value <> getvariable('unknown')
