-- what some users touched, in the order of users and products
select user_id, product_id, score::float as score, coalesce(purchases > 0, false) as bought
from interactions
where user_id between getvariable('first_user') and getvariable('last_user')
order by user_id, product_id
