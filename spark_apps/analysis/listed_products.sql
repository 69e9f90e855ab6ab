-- the products in most users' lists; equals in the order of their id
with counted as (
    select product_id, count(*) as users from lists group by product_id
    order by users desc, product_id limit getvariable('top'))
select product_id, users, category_code, brand from counted left join products using (product_id)
