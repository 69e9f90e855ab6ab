"""Metrics in InfluxDB: the store that they go to."""
