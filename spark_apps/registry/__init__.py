"""Model versions below models/<name>/<version>/, and which of them jobs use (SPEC M1, M2)."""
