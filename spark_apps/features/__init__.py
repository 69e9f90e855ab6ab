"""What users, products and their meetings look like, computed from clean events (SPEC F1-F3)."""
