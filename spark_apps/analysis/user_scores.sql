-- users by the bin of their mean score
with means as (
    select sum(amount)::double / count(amount) as mean from scored_lists group by user_id having count(amount) > 0)
select greatest(0, least(
        getvariable('bins') - 1, floor((mean - getvariable('low')) / getvariable('width'))::bigint)) as bin,
    count(*) as users
from means group by bin
