-- the prices of all products
select min(avg_price) as low_min, max(avg_price) as high_max from products
