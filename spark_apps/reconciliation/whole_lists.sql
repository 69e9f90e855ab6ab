-- 1 for each user whose list has the ranks from 1 on, each once, and no product twice; else 0.
select
    user_id as place,
    (max(rank) = count(*) and count(distinct rank) = count(*) and count(distinct product_id) = count(*))::int as number
from lists
group by user_id
