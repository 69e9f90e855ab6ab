-- each line with the first reason against it, null for an event
select *,
    case when line = '' then 'empty_line'
        when not valid then 'bad_encoding'
        when not whole then 'wrong_columns'
        when event_time is null then 'bad_time'
        when event_time > getvariable('latest') then 'future_time'
        when event_type is null then 'unknown_event_type'
        when product_id is null or user_id is null or (has_category_id and category_id is null) then 'bad_id'
        when has_price and (price is null or abs(price) >= getvariable('price_limit')) then 'bad_price' end as reason
from line_values
