"""Lets `python -m spark_apps` stand for the `shopstream` command."""

from spark_apps.cli import main

main()
