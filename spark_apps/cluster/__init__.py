"""Drives the cluster from the host, which has only Docker and Python: nothing here imports Spark or runs a shell."""
