"""One function per chart. Each takes a part of the report's data and returns a Plotly figure."""
