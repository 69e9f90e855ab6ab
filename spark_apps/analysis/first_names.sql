-- of all users' sums, the names that are recommended most, and the unknown one; equals in the order of their text
with sums as (
    select kind, name, sum(recommendations) as recommendations, sum(scored) as scored, sum(score_sum) as score_sum
    from listed_names group by kind, name)
select * from sums
qualify name = 'unknown'
    or row_number() over (partition by kind order by name = 'unknown', recommendations desc, name) <= getvariable('top')
