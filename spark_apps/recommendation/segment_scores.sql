-- what each segment's users think of each product, from sums of disjoint users
select segment, product_id, sum(score)::double as score
from segment_sums group by segment, product_id
order by segment, product_id
