"""Groups of users: RFM by rules, clusters by k-means, their names, and what the groups are like (SPEC G1-G5)."""
