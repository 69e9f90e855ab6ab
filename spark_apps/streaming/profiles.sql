-- segment and list of each user as the last training left them: user_update.PROFILES
with lists as (
    select user_id, list(product_id order by rank) as listed from recommendations group by user_id)
select user_id, segment, listed, listed as first_listed
from segments left join lists using (user_id)
