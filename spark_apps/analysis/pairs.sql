-- the event types of each user and product that met, as a sum of 2^kind
select user_id, product_id, bit_or(1 << kind) as types from steps group by user_id, product_id
