-- cells of all users in enough baskets to be told
select figure, cell, sum(baskets) as baskets from together
group by figure, cell having sum(baskets) >= getvariable('min_together')
