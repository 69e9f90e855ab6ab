-- baskets with both of two candidates, as the cell max_items * a + b of their places a <= b; with a itself where a = b
with small as (
    select places, count(*) as baskets from baskets
    where size <= getvariable('max_basket') and len(places) > 0 group by places),
one as (select baskets, places, unnest(places) as a from small),
two as (select baskets, a, unnest(places) as b from one)
select getvariable('figure') as figure, a * getvariable('max_items') + b as cell, sum(baskets) as baskets
from two where b >= a group by cell
