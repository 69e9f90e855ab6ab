"""The rules of the house, checked on the source: import arrows, one session, bounded collects."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from spark_apps.cli import COMMANDS, main

REPOSITORY = Path(__file__).resolve().parents[1]
SESSION = REPOSITORY / "spark_apps" / "engine" / "session.py"
SOURCES = sorted((REPOSITORY / "spark_apps").rglob("*.py"))
ROOMS = ("analysis", "reconciliation", "features", "segmentation", "recommendation", "evaluation", "streaming")
# calls that bring rows to the driver
TO_DRIVER = {"collect", "toArrow", "toLocalIterator", "toPandas"}
BOUND_IN_DOCSTRING = re.compile(r"\b(at most|come back|to the driver)\b")


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def attributes(tree: ast.AST) -> Iterator[ast.Attribute]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Attribute))


def where(names: set[str], paths: list[Path]) -> list[str]:
    """Uses of attributes with these names, as file:line."""
    return [
        f"{path.relative_to(REPOSITORY)}:{node.lineno} {node.attr}"
        for path in paths
        for node in attributes(parsed(path))
        if node.attr in names
    ]


def unbounded(source: str) -> list[int]:
    """Lines of calls that bring rows to the driver without a word on how many."""
    lines, tree = source.splitlines(), ast.parse(source)
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    found = []
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        if not isinstance(call.func, ast.Attribute) or call.func.attr not in TO_DRIVER or call.args:
            continue
        assert call.end_lineno is not None
        around = [one for one in functions if one.lineno <= call.lineno <= (one.end_lineno or 0)]
        explained = any(BOUND_IN_DOCSTRING.search(ast.get_docstring(one) or "") for one in around)
        commented = "  # " in lines[call.end_lineno - 1] or lines[call.lineno - 2].lstrip().startswith("#")
        if not (explained or commented or _is_one_row(call.func.value)):
            found.append(call.end_lineno)
    return found


def _is_one_row(frame: ast.expr) -> bool:
    """An aggregate without groups."""
    if not (isinstance(frame, ast.Call) and isinstance(frame.func, ast.Attribute) and frame.func.attr == "agg"):
        return False
    return not any(node.attr == "groupBy" for node in attributes(frame.func.value))


def test_imports_follow_the_arrows() -> None:
    command = shutil.which("lint-imports", path=str(Path(sys.executable).parent))
    assert command, "import-linter is not installed beside this Python"
    done = subprocess.run([command, "--no-cache"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"[1-9]\d* kept, 0 broken", done.stdout)


def test_only_the_session_module_makes_a_spark_session() -> None:
    makers = {"builder", "getOrCreate", "newSession"}
    others = [path for path in SOURCES if path != SESSION]
    assert where(makers, [SESSION])
    assert not where(makers, others)
    calls = [
        f"{path.relative_to(REPOSITORY)}:{node.lineno}"
        for path in others
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in ("SparkSession", "SparkContext")
    ]
    assert not calls


def test_nothing_becomes_a_pandas_frame() -> None:
    assert not where({"toPandas", "pandas_api", "applyInPandas", "mapInPandas"}, SOURCES)


def test_every_except_names_what_it_catches() -> None:
    bare = [
        f"{path.relative_to(REPOSITORY)}:{node.lineno}"
        for path in SOURCES
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.ExceptHandler) and node.type is None
    ]
    assert not bare


def test_texts_are_the_same_bytes_on_windows() -> None:
    """Python turns line feeds there into two characters wherever a text file is opened without saying otherwise."""
    apart = ("bootstrap.py", "lifecycle.py")  # logs of this machine
    careless = [
        f"{path.relative_to(REPOSITORY)}:{call.lineno}"
        for path in SOURCES
        if path.name not in apart
        for call in ast.walk(parsed(path))
        if isinstance(call, ast.Call) and _writes_text(call) and "newline" not in {one.arg for one in call.keywords}
    ]
    assert not careless


def test_paths_below_a_root_are_said_with_slashes_on_windows() -> None:
    """As texts they are joined, cut and kept in the state: what `relative_to` finds is asked for as_posix there."""
    apart = ("bootstrap.py", "paths.py")  # for a person to read, and of HDFS
    found = [(path, node) for path in SOURCES if path.name not in apart for node in attributes(parsed(path))]
    ways = [f"{path.name}:{node.lineno}" for path, node in found if node.attr == "relative_to"]
    with_slashes = [
        f"{path.name}:{node.lineno}"
        for path, node in found
        if node.attr == "as_posix" and isinstance(node.value, ast.Call) and _calls(node.value, "relative_to")
    ]
    assert ways and ways == with_slashes


def _calls(call: ast.Call, name: str) -> bool:
    return isinstance(call.func, ast.Attribute) and call.func.attr == name


def _writes_text(call: ast.Call) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    modes = {one.value for one in call.args if isinstance(one, ast.Constant)}
    return name == "write_text" or (name in ("open", "fdopen") and bool(modes & {"w", "a", "x"}))


def test_only_tables_py_spells_a_path_below_the_root() -> None:
    below_the_root = re.compile(r"(raw|processed|models|reports|temp)(/[\w.{}-]+)+/?")
    spelt = [
        (path.name, node.value)
        for path in SOURCES
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and below_the_root.fullmatch(node.value)
    ]
    assert ("tables.py", "processed/events") in spelt
    assert {name for name, _ in spelt} == {"tables.py"}


def test_rows_that_come_to_the_driver_are_bounded() -> None:
    found = {str(path.relative_to(REPOSITORY)): unbounded(path.read_text(encoding="utf-8")) for path in SOURCES}
    assert not {path: lines for path, lines in found.items() if lines}


def test_there_are_rows_that_come_to_the_driver() -> None:
    assert where(TO_DRIVER, SOURCES)


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("rows = frame.collect()", [1]),
        ("rows = frame.toArrow()", [1]),
        ("rows = frame.groupBy('user_id').agg(F.max('price')).collect()", [1]),
        ("def f(frame):\n    '''Returns the rows.'''\n    return frame.collect()", [3]),
        ("rows = frame.collect()  # eleven names", []),
        ("# one row a day\nrows = frame.collect()", []),
        ("row = frame.agg(F.max('price')).collect()[0]", []),
        ("def f(frame):\n    '''Returns at most ten rows.'''\n    return frame.collect()", []),
    ],
)
def test_the_scan_tells_bounded_from_unbounded(source: str, lines: list[int]) -> None:
    assert unbounded(source) == lines


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_neither_reads_nor_writes_nor_prints(room: str) -> None:
    paths = [path for path in SOURCES if path.parent == REPOSITORY / "spark_apps" / room]
    assert paths
    assert not where({"read", "readStream", "write", "writeStream", "writeTo", "read_text", "write_text"}, paths)
    names = [node.id for path in paths for node in ast.walk(parsed(path)) if isinstance(node, ast.Name)]
    assert not {"print", "open"} & set(names)


def test_jobs_are_the_commands_that_work() -> None:
    """Each is called by the module of its command; the others only look, or drive a cluster."""
    jobs = {path.stem for path in (REPOSITORY / "spark_apps" / "jobs").iterdir() if not path.stem.startswith("_")}
    hdfs = main.get_command(click.Context(main), "hdfs")
    assert isinstance(hdfs, click.Group) and "compact" in hdfs.commands
    assert {name for name in COMMANDS if calls_its_job(name)} | {"compact"} == jobs


def calls_its_job(command: str) -> bool:
    """Says whether a command's module imports the job of its name."""
    path = REPOSITORY / "spark_apps" / "commands" / f"{command}.py"
    found = [node for node in ast.walk(parsed(path)) if isinstance(node, ast.ImportFrom) and node.module]
    named = {f"{node.module}.{alias.name}" for node in found for alias in node.names}
    return any(f"{name}.".startswith(f"spark_apps.jobs.{command}.") for name in named)
