"""`shopstream stream`: dropped files keep features, segments and recommendations up to date (SPEC T2-T6)."""
