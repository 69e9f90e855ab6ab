-- what users care for, of those whose hash is below the bound, if there is one
select user_id, product_id, score from interactions
where score > 0 and (getvariable('bound') is null
    or md5(concat(user_id, ' ', getvariable('seed'), ' ', getvariable('salt'))) < getvariable('bound'))
