"""The HTML report: one page with charts and tables that opens without a network."""
