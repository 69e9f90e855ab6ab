-- ids numbered from 0 in their own order
select row_number() over (order by original) - 1 as id, original from ids as ids(original) order by original
