-- baskets that count, and those that are left out whole
select getvariable('figure') as figure, count(*) filter (size <= getvariable('max_basket')) as baskets,
    count(*) filter (size > getvariable('max_basket')) as too_large
from baskets
