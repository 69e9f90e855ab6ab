"""Local work needs neither Spark nor Java: engine/ alone knows Spark, and imports it where Spark is used."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from spark_apps.cli import COMMANDS
from tests.test_house import REPOSITORY, SOURCES, parsed

PROGRAMS = Path(__file__).parent / "without_spark"
PACKAGES = ("pyspark", "py4j")
ENGINE = REPOSITORY / "spark_apps" / "engine"


def imported(tree: ast.AST) -> Iterator[str]:
    """Names of modules that a source imports, wherever in it, by a statement or by `import_module`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("import_module", "__import__"):
                yield str(node.args[0].value)


def knows_spark(tree: ast.AST) -> bool:
    return any(name.partition(".")[0] in PACKAGES for name in imported(tree))


def module_name(path: Path) -> str:
    parts = path.relative_to(REPOSITORY).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def without_spark(program: str, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs one of PROGRAMS where there is no PySpark, no Java and nothing else on the PATH."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith(("JAVA", "SPARK", "SHOPSTREAM"))}
    (folder / "home").mkdir()
    return subprocess.run(
        [sys.executable, PROGRAMS / program, *arguments],
        env={
            **kept,
            "PATH": str(folder / "home"),
            "HOME": str(folder / "home"),
            "PYTHONPATH": os.pathsep.join([str(PROGRAMS), str(REPOSITORY)]),
        },
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("from pyspark.sql import functions as F", True),
        ("def f():\n    import py4j.protocol", True),
        ("if TYPE_CHECKING:\n    from pyspark import SparkContext", True),
        ("importlib.import_module('pyspark.ml')", True),
        ("from spark_apps.engine.spark import engine_of", False),
        ("name = 'pyspark'", False),
    ],
)
def test_the_scan_finds_imports_of_spark(source: str, found: bool) -> None:
    assert knows_spark(ast.parse(source)) == found


def test_only_the_engine_knows_spark() -> None:
    know = [path for path in SOURCES if knows_spark(parsed(path))]
    assert ENGINE / "spark.py" in know
    assert not [str(path.relative_to(REPOSITORY)) for path in know if ENGINE not in path.parents]


def test_whatever_does_not_know_spark_is_imported_without_it(tmp_path: Path) -> None:
    names = [module_name(path) for path in SOURCES if path.name != "__main__.py" and not knows_spark(parsed(path))]
    parts_of_engine = ("base", "database", "local", "opening", "published", "relations", "spills")
    assert {f"spark_apps.engine.{name}" for name in parts_of_engine} <= set(names)
    assert {f"spark_apps.commands.{name}" for name in COMMANDS} | {"spark_apps.cli"} <= set(names)
    done = without_spark("imported.py", *names, folder=tmp_path)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_there_is_no_spark_where_these_tests_say_so(tmp_path: Path) -> None:
    done = without_spark("imported.py", "pyspark", "py4j", "spark_apps.engine.spark", folder=tmp_path)
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == [
        "pyspark",
        "py4j",
        "spark_apps.engine.spark",
    ]


def test_local_commands_run_without_spark(tmp_path: Path) -> None:
    root, events = tmp_path / "it's [my] shop", 3000
    october, november = (f"synthetic-2019-{month}-seed42-{events}.csv" for month in (10, 11))
    commands = [
        ["generate", "--events", str(events)],
        ["generate", "--events", str(events), "--month", "2019-11"],
        ["load", october, "--root", str(root)],
        *([name, "--root", str(root)] for name in ("clean", "analyze")),
        ["train", "--k", "3", "--root", str(root)],
        ["evaluate", "--root", str(root)],
        ["load", november, "--root", str(root)],
        ["simulate", "--events", "500", "--interval", "0s", "--batches", "1", "--root", str(root)],
        ["stream", "--once", "--root", str(root)],
        ["stream", "status", "--root", str(root)],
        *([name, "--root", str(root)] for name in ("report", "check", "quarantine")),
        ["recommend", "--all", "--root", str(root)],
    ]
    done = without_spark("several.py", *map(json.dumps, commands), folder=tmp_path)
    assert done.returncode == 0, done.stderr
    analysis = json.loads((root / "reports" / "analysis.json").read_text(encoding="utf-8"))
    assert analysis["events"] == events
    assert (root / "reports" / "report.html").stat().st_size > 1_000_000
    assert (root / "reports" / "recommendations.csv").read_text(encoding="utf-8").count("\n") > 100
    assert "All 16 counts agree." in done.stdout
    assert not list((root / "temp").rglob("*.parquet"))
