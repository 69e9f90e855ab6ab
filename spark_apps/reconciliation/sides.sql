-- Two counts side by side. A union, for a join does not bring together places that are null.
with both_sides as (
    select place, number as expected, 0 as found from expected_side
    union all
    select place, 0 as expected, number as found from found_side
)
select
    place,
    coalesce(sum(expected), 0) as expected,
    coalesce(sum(found), 0) as found
from both_sides
group by place
