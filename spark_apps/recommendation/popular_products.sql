-- schemas.POPULAR_PRODUCTS: the best products over everybody, per top category and per segment
with scopes as (
    select case when grouping(segment) = 0 then 'segment' when grouping(category) = 0 then 'category'
            else 'global' end as scope,
        coalesce(segment, category, 'all') as key, product_id, sum(score::decimal(38, 9))::double as score
    from segment_scores join products using (product_id)
    group by grouping sets ((product_id), (product_id, category), (product_id, segment))),
ranked as (
    select scope, key, row_number() over (partition by scope, key order by score desc, product_id) as rank,
        product_id, score
    from scopes where score > 0)
select * from ranked where rank <= getvariable('kept')
order by scope, key, rank
