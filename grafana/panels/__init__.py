"""The Grafana dashboards and alert rules as code, from which `make dashboards` writes the files that Grafana reads.

One module per dashboard, one function per panel. flux.py holds what panels ask, looks.py what they look like.
"""
