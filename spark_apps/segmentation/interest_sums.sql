-- the interests of all users: parts added up
select segment, dimension, value, sum(score)::double as score, sum(users) as users
from interests
group by segment, dimension, value
