"""How good the recommendations are: models side by side on what users touched later (SPEC R5)."""
