-- items with a place among the first of their kind by views or by purchases; equals in the order of their key
select * from items
qualify (views > 0 and getvariable('keep') >=
        row_number() over (partition by kind order by views desc, product_id, category_code, brand))
    or (purchases > 0 and getvariable('keep') >=
        row_number() over (partition by kind order by purchases desc, product_id, category_code, brand))
