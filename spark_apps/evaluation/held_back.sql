-- of users with enough products, those whose ids have the lowest hashes, and the product each touched last
with able as (
    select user_id, md5(concat(user_id, ' ', getvariable('seed'))) as draw
    from interactions group by user_id having count(*) >= getvariable('least_products')
    order by draw, user_id limit getvariable('users')),
ranked as (
    select draw, user_id, last_time as first_time, product_id, score,
        row_number() over (partition by user_id order by last_time desc, product_id desc) as place
    from interactions join able using (user_id))
select draw, user_id, first_time, product_id, score from ranked where place = 1
