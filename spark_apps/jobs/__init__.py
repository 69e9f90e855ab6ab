"""One module per command: read tables, call the rooms' functions, write tables."""
