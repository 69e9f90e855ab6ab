-- schemas.PRODUCT_FEATURES from product_sums of all users
with newest as (
    select product_id, max((last_time, category_code, brand)) as newest from product_sums group by product_id),
sums as (
    select product_id, sum(events) as events, sum(views) as views, sum(carts) as carts, sum(purchases) as purchases,
        sum(priced) as priced, sum(price_sum) as price_sum, sum(unique_users) as unique_users
    from product_sums group by product_id)
select product_id, events, views, carts, purchases, unique_users,
    case when priced > 0 then price_sum::double / priced end as avg_price,
    split_part(newest[2], '.', 1) as category, newest[2] as category_code, newest[3] as brand,
    case when views > 0 then purchases::double / views else 0 end as conversion,
    (3 * purchases + 2 * carts + views)::double / unique_users as popularity,
    (3 * purchases + 2 * carts + views + getvariable('prior_users') * getvariable('mean_points'))
        / (unique_users + getvariable('prior_users')) as popularity_smoothed
from sums join newest using (product_id)
order by product_id
