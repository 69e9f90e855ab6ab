"""shopstream: an e-commerce behaviour pipeline on Spark and HDFS."""

__version__ = "0.1.0"
