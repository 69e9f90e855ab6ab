"""The chapters of the report: which sentences, charts and tables stand where."""
