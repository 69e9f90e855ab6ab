"""Every user's list as a file."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from spark_apps.cli import main
from spark_apps.errors import ReplacedTableError
from spark_apps.jobs.recommend import recommendations_csv
from spark_apps.tables import PRODUCT_FEATURES, RECOMMENDATIONS, RECOMMENDATIONS_CSV
from tests.pipeline.conftest import Trained

HEADER = ["user_id", "rank", "product_id", "category", "brand", "price", "score", "source"]


@pytest.fixture
def root(trained_root: Trained, tmp_path: Path) -> Path:
    """A copy that may be written to."""
    return Path(shutil.copytree(trained_root.root, tmp_path / "root"))


def test_the_file_holds_every_row_of_the_table_with_its_product(trained: Trained, tmp_path: Path) -> None:
    root = Path(shutil.copytree(trained.root, tmp_path / "root"))
    path, count = recommendations_csv.run(root)
    assert path == root / "reports" / "recommendations.csv"
    with path.open(encoding="utf-8", newline="") as stream:
        head, *rows = csv.reader(stream)
    products = {row["product_id"]: row for row in trained.rows(PRODUCT_FEATURES)}
    assert head == HEADER and len(rows) == count
    written = {
        (int(row[0]), int(row[1])): (
            int(row[2]),
            row[3],
            row[4],
            row[5],
            pytest.approx(float(row[6]), rel=1e-6),
            row[7],
        )
        for row in rows
    }
    expected = {}
    for row in trained.rows(RECOMMENDATIONS):
        about = products[row["product_id"]]
        price = None if about["avg_price"] is None else pytest.approx(about["avg_price"], abs=0.0051)
        expected[row["user_id"], row["rank"]] = (row, about, price)
    assert written.keys() == expected.keys()
    for place, (product, category, brand, price, score, source) in written.items():
        row, about, wanted = expected[place]
        assert (product, category, brand) == (row["product_id"], about["category_code"], about["brand"])
        assert (float(price) if price else None) == wanted
        assert row["score"] == score and row["source"] == source


def test_the_command_says_where_the_file_is(root: Path, trained_root: Trained) -> None:
    found = CliRunner().invoke(main, ["recommend", "--all", "--json", "--root", str(root)])
    assert found.exit_code == 0
    told = json.loads(found.stdout)
    assert Path(told["file"]).stat().st_size > 1000
    assert told["rows"] == trained_root.training.als.metrics["recommendations"]


def test_a_run_that_fails_leaves_the_file_before(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, _ = recommendations_csv.run(root)
    before = path.read_bytes()

    def broken(*_: object) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr(recommendations_csv, "_described", broken)
    with pytest.raises(OSError, match="the disk is gone"):
        recommendations_csv.run(root)
    assert path.read_bytes() == before


def test_lists_that_are_replaced_meanwhile_are_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def too_late(path: Path) -> int:
        raise FileNotFoundError(2, "No such file or directory", str(path))

    monkeypatch.setattr(recommendations_csv, "count_rows", too_late)
    with pytest.raises(
        ReplacedTableError, match="replaced by another command while it was read: run the command again"
    ):
        recommendations_csv.run(root)
    assert not (root / RECOMMENDATIONS_CSV).exists()


def test_nothing_trained_yet(tmp_path: Path) -> None:
    found = CliRunner().invoke(main, ["recommend", "--all", "--root", str(tmp_path)])
    assert found.exit_code == 2
    assert found.stderr.startswith("Error: There is no table recommendations yet: run `shopstream train` first")
