-- values where a text is one; null where it is none or missing: what is wrong is told apart in judged_lines
select number, line, valid, whole,
    case when regexp_full_match(event_time, '[0-9]{4}-[0-9]{2}-[0-9]{2} ([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9] UTC')
            and not starts_with(event_time, '0000')
        then try_cast(substring(event_time, 1, 19) as timestamp) end as event_time,
    case when event_type in ('view', 'cart', 'purchase', 'remove_from_cart') then event_type end as event_type,
    case when regexp_full_match(product_id, '[+-]?[0-9]+') then try_cast(product_id as bigint) end as product_id,
    case when regexp_full_match(category_id, '[+-]?[0-9]+') then try_cast(category_id as bigint) end as category_id,
    category_id <> '' as has_category_id,
    case when category_code in ('', 'NaN') then 'unknown' else category_code end as category_code,
    case when brand in ('', 'NaN') then 'unknown' else brand end as brand,
    case when regexp_full_match(price, '[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?')
        then try_cast(price as double) end as price,
    price not in ('', 'NaN') as has_price,
    case when regexp_full_match(user_id, '[+-]?[0-9]+') then try_cast(user_id as bigint) end as user_id,
    case when user_session not in ('', 'NaN') then user_session end as user_session
from line_fields
