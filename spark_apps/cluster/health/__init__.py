"""What state a cluster is in, what is wrong with it, and the remedy."""
