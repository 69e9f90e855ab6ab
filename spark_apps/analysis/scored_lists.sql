-- recommendations with their score, and its bin, where the source's scores can be compared
with comparable as (
    select *, case when list_contains(getvariable('sources'), source) then score::double end as comparable from lists)
select *, comparable::decimal(38, 15) as amount, greatest(0, least(
    getvariable('bins') - 1, floor((comparable - getvariable('low')) / getvariable('width'))::bigint)) as score_bin
from comparable
