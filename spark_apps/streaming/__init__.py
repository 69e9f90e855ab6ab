"""November as a stream: files dropped one by one, and what each of them changes (SPEC T1-T7)."""
