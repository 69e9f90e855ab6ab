-- what makes baskets of products that one user purchased in the whole time
select user_id, null as visit, product_id as item from steps where kind = 3
