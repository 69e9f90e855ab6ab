-- sessions by their number of events, and by their seconds
select 'events' as figure, events as number, count(*) as sessions from sessions group by events union all
select 'seconds', seconds, count(*) from sessions group by seconds
