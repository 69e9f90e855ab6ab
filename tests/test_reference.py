"""The reference is made from the code, and is the code's of today."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parents[1] / "docs"


def test_the_reference_page_is_what_the_code_says() -> None:
    check = subprocess.run([sys.executable, str(DOCS / "make_reference.py"), "--check"], check=False)
    assert check.returncode == 0, "run: python docs/make_reference.py"


def test_every_command_has_its_heading_and_an_example() -> None:
    page = (DOCS / "reference.md").read_text(encoding="utf-8")
    for command in ("demo", "generate", "load", "clean", "analyze", "features", "segment", "train", "recommend"):
        assert f"### shopstream {command}\n" in page
    assert page.count("Example: shopstream") >= 9
