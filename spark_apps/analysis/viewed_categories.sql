-- what makes baskets of category codes that were viewed in one visit
select user_id, user_session as visit, category_code as item
from steps where kind = 0 and user_session is not null and category_code <> 'unknown'
