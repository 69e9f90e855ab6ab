-- how many different items are in each basket, and the places of those among the candidates
with held as (select user_id, visit, item from chosen group by user_id, visit, item)
select count(*) as size, list_sort(list(place) filter (place is not null)) as places
from held left join candidates using (item)
group by user_id, visit
