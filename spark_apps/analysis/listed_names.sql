-- recommendations by category and by brand
select 'categories' as kind, category_code as name, count(*) as recommendations, count(amount) as scored,
    sum(amount) as score_sum
from described_lists group by category_code union all
select 'brands', brand, count(*), count(amount), sum(amount) from described_lists group by brand
