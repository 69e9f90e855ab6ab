"""Model versions below models/<name>/<version>/ (SPEC M1)."""
