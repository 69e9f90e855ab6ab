"""analyze and report on a machine without Java."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from spark_apps.tables import EVENTS, QUARANTINE
from tests.conftest import REPOSITORY
from tests.factory import write_events_table


def test_analyze_and_report_need_no_java(tmp_path: Path) -> None:
    root, home = tmp_path / "it's [my] shop", tmp_path / "home"
    write_events_table(root / EVENTS.path, [{"user_id": user, "event_type": "purchase"} for user in range(3)])
    (root / QUARANTINE.path).mkdir(parents=True)
    home.mkdir()
    bare = {name: text for name, text in os.environ.items() if not name.startswith(("JAVA", "SPARK", "SHOPSTREAM"))}
    environment = {**bare, "PATH": str(home), "HOME": str(home), "PYTHONPATH": str(REPOSITORY)}
    for command in ("analyze", "report"):
        done = subprocess.run(
            [sys.executable, "-m", "spark_apps", command, "--root", str(root)],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
    assert json.loads((root / "reports" / "analysis.json").read_text(encoding="utf-8"))["users"] == 3
    assert (root / "reports" / "report.html").stat().st_size > 1_000_000
    assert not list((root / "temp").rglob("*.parquet"))
