-- interactions that models learn from: those held back for their validation are left out
select interactions.* from interactions anti join held using (user_id, product_id)
