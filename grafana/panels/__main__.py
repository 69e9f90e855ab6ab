"""Writes the dashboards and the alert rules: `make dashboards`."""

from __future__ import annotations

from pathlib import Path

from grafana.panels.files import generated

if __name__ == "__main__":
    for path, text in generated().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
        print(path.relative_to(Path(__file__).resolve().parents[2]))
