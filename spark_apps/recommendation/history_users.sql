-- the same users with their segments and factors
select user_id, segment, features
from segments left join factors using (user_id)
where user_id between getvariable('first_user') and getvariable('last_user')
order by user_id
