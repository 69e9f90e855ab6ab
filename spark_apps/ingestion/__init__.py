"""From CSV files to clean events: landing raw rows by date, then cleaning them."""
