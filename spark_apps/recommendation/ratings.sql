-- what ALS learns from: pairs that score something
select user_id, product_id, score from learned where score <> 0
