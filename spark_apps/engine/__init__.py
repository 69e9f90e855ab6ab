"""Where units of work run: in this machine's processes, or in Spark's tasks. What they do, they do the same in both.

A unit is a function of a `Task`. It sees its inputs as relations of a DuckDB database, asks them in SQL or takes them
as Arrow tables, writes rows to its outputs, and hands small results to its caller.
"""
