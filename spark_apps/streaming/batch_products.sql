-- what the batch's events add to their products; unique_users are those who had not met them before
with spent as (
    select product_id, coalesce(sum(amount) filter (event_type = 'purchase'), 0) as revenue
    from priced_events group by product_id),
met as (
    select product_id, count(*) as unique_users
    from pairs anti join touched_before using (user_id, product_id) group by product_id)
select product_sums.* exclude (unique_users, price_sum), coalesce(price_sum, 0) as price_sum,
    coalesce(met.unique_users, 0) as unique_users, revenue
from product_sums join spent using (product_id) left join met using (product_id)
