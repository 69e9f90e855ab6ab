"""The tables under the charts: HTML text in which everything that comes from the data is escaped."""
