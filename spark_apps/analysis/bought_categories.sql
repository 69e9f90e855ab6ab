-- what makes baskets of category codes that one user purchased in the whole time
select user_id, null as visit, category_code as item from steps where kind = 3 and category_code <> 'unknown'
