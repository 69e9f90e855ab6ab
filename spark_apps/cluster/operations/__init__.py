"""What a user does with a cluster: start, scale, drain and remove it, and submit jobs."""
