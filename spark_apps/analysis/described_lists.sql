-- scored recommendations with what their products are called, and the bin of their price
select scored_lists.* exclude (score_bin), case when comparable is not null then score_bin end as score_bin,
    coalesce(category_code, 'unknown') as category_code, coalesce(brand, 'unknown') as brand,
    case when avg_price is not null then
        greatest(0, len(list_filter(getvariable('edges'), lambda edge: edge <= avg_price)) - 1) end as price_bin
from scored_lists left join products using (product_id)
