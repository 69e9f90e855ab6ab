-- each user's products side by side: scores, whether bought, and how much the score rose with the batch
select user_id,
    list(product_id order by product_id) as products,
    list(now.score::float order by product_id) as scores,
    list(now.purchases > 0 order by product_id) as bought,
    list((now.score - coalesce(before.score, 0))::float order by product_id) as gains
from touched now left join touched_before before using (user_id, product_id)
group by user_id
order by user_id
