"""What to show a user next: ALS factors, lists made from them, popularity for the rest (SPEC R1, R4)."""
