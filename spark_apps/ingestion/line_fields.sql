-- lines(number, line, valid) cut into nine texts, all null where a line cannot be: RFC 4180, a quote inside quotes is doubled
-- a byte order mark at the head of a line, left by files that were put together, is passed over
with texts as (
    select number, line, valid, case when starts_with(line, chr(65279)) then substring(line, 2) else line end as text
    from lines),
cut as (
    select number, line, valid, contains(text, '"') as quoted,
        case when not valid or text = '' then null
            when not contains(text, '"') then string_split(text, ',')
            when regexp_full_match(',' || text, '(?s)(,("([^"]|"")*"|[^,"][^,]*|))*')
            then regexp_extract_all(',' || text, '(?s),("(?:[^"]|"")*"|[^,]*)', 1) end as fields
    from texts),
whole as (
    select number, line, valid, case when len(fields) = 9 then fields end as fields, quoted from cut),
unquoted as (
    select number, line, valid,
        case when quoted then list_transform(fields, lambda field: case when starts_with(field, '"')
            then replace(substring(field, 2, len(field) - 2), '""', '"') else field end) else fields end as fields
    from whole)
select number, line, valid, fields is not null as whole, fields[1] as event_time, fields[2] as event_type,
    fields[3] as product_id, fields[4] as category_id, fields[5] as category_code, fields[6] as brand,
    fields[7] as price, fields[8] as user_id, fields[9] as user_session
from unquoted
