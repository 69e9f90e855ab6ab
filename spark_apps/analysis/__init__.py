"""What happened in the events: counts, prices, sessions (SPEC E1-E5, E7)."""
