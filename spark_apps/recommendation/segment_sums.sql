-- what some users of each segment think of each product: scores as exact decimals, which add up in any order
select segment, product_id, sum(score::decimal(38, 9)) as score
from learned join segments using (user_id)
group by segment, product_id
