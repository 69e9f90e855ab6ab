"""The tree on HDFS: what it should be (hdfs_layout/layout.yaml), what it holds, and what has expired."""
