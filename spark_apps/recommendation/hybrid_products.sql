-- the products as the hybrid describes them
select product_id, category_code, brand, avg_price, unique_users as users from products order by product_id
