-- what some tables know of events at the cutoff or later, and how many events they count
select (select count(*) from users where last_seen >= getvariable('cutoff')) as users,
    (select count(*) from interactions where last_time >= getvariable('cutoff')) as interactions,
    (select coalesce(sum(interaction_count), 0) from interactions) as events
