-- how often each source proposed something, and its scores; sums are decimals, which no order of adding up changes
select source, count(*) as recommendations, min(score)::double as lowest, max(score)::double as highest,
    sum(score::double::decimal(38, 15)) as score_sum
from lists group by source
