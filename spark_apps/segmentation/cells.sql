-- segmentation.distributions.CELLS: the cells of all parts added up; sums of doubles in an order of their own
select cluster, feature, cell, max(value) as value, sum(users) as users, sum(total order by total) as total
from cells
group by cluster, feature, cell
