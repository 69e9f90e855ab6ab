-- The first places whose sides differ.
select place, expected, found
from sides
where expected <> found
order by place nulls first
limit getvariable('shown_places')
