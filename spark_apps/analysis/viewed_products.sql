-- what makes baskets of products that were viewed in one visit
select user_id, user_session as visit, product_id as item from steps where kind = 0 and user_session is not null
