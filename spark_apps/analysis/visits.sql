-- a visit is what one user did in one session id: its types as a sum of 2^kind, and its steps in order of time and kind
select user_id, bit_or(1 << kind) as types, list_sort(list(seconds * 4 + kind)) as steps
from steps where user_session is not null
group by user_id, user_session
