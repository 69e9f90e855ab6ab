"""Groups of users: RFM by rules, clusters by k-means, and their names (SPEC G1-G3, G5)."""
