-- Products of each user's list that the user has bought.
select user_id as place, count(*) as number
from lists
semi join (from pairs where purchases > 0) as bought using (user_id, product_id)
group by user_id
