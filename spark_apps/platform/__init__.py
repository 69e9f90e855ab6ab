"""One client each for HDFS, Spark's master and InfluxDB, and what they share: HTTP, retries, signals, sizes."""
