-- What the sides of all places come to.
select
    coalesce(sum(expected), 0) as expected,
    coalesce(sum(found), 0) as found,
    count(*) as places,
    count(*) filter (expected <> found) as differing
from sides
