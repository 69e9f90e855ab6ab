-- recommendations by the bins of score and price, null where there is none
select score_bin, price_bin, count(*) as recommendations, sum(amount) as score_sum
from described_lists group by score_bin, price_bin
