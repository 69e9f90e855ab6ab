-- visits by their kinds in order, a digit each: a kind that follows itself stands twice at most, and of more than eight
-- digits a point stands for the rest; cut where equal visits are counted, for there are few different ones
with written as (
    select array_to_string(list_transform(steps, lambda step: step & 3), '') as kinds, count(*) as visits
    from visits group by kinds),
cut as (
    select regexp_replace(regexp_replace(regexp_replace(regexp_replace(
        kinds, '000+', '00', 'g'), '111+', '11', 'g'), '222+', '22', 'g'), '333+', '33', 'g') as kinds, visits
    from written)
select case when length(kinds) > 8 then left(kinds, 8) || '.' else kinds end as sequence, sum(visits) as visits
from cut group by sequence
