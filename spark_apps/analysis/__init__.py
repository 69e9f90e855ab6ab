"""What happened in the events: counts, prices, sessions, behaviour (SPEC E1-E7), and what is recommended (SPEC R6)."""
