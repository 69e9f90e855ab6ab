-- events with their price as an exact decimal, so that no order of adding up changes a sum
select *, case when price < 1e30 then price::decimal(38, 4) end as amount
from events
