"""The specification: every reference finds its row, rows have names of their own, and users see none of the names."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
SPECIFICATION = REPOSITORY / "docs" / "specification.md"
FOLDERS = ("spark_apps", "tests", "bench", "docs", "docker", "ansible", "grafana", "compose", "hdfs_layout")
# besides, files without an ending, as docker/entrypoint/start is
TEXTS = {
    ".py",
    ".sql",
    ".md",
    ".yaml",
    ".yml",
    ".json",
    ".j2",
    ".cfg",
    ".xml",
    ".css",
    ".js",
    ".properties",
    ".dockerfile",
    "",
}
# they explain how references are written
APART = {SPECIFICATION, Path(__file__).resolve()}
STATES = {"done", "in part", "planned"}

_ROW = re.compile(r"^\| ([A-Z]\d+) \|.*\| ([^|]+) \|$", re.MULTILINE)
_ONE = r"[A-Z]\d+(?:-[A-Z]\d+)?"
_LIST = rf"{_ONE}(?:, {_ONE})*"
_WORD = re.compile(rf"\bSPEC\b(?: ({_LIST})(?!\w))?")
_BARE = re.compile(rf"\(({_LIST})\)")


class Reference(NamedTuple):
    """Where a row is named, as file:line, and which."""

    place: str
    row: str


def rows() -> list[tuple[str, str]]:
    """The specification's rows, each with its state."""
    return _ROW.findall(SPECIFICATION.read_text(encoding="utf-8"))


def rows_named(text: str) -> list[str]:
    """Rows that a list such as `T2, D3-D5` names."""
    named = []
    for one in text.split(", "):
        first, _, last = one.partition("-")
        assert not last or (first[0] == last[0] and int(first[1:]) < int(last[1:])), f"{one} is no range"
        numbers = range(int(first[1:]), int(last[1:] or first[1:]) + 1) if last else [int(first[1:])]
        named += [f"{first[0]}{number}" for number in numbers]
    return named


def sources() -> Iterator[tuple[str, str]]:
    """The repository's text files outside of APART: path and text."""
    for folder in FOLDERS:
        for path in sorted((REPOSITORY / folder).rglob("*")):
            if path.is_file() and path.suffix.lower() in TEXTS and path not in APART:
                yield path.relative_to(REPOSITORY).as_posix(), path.read_text(encoding="utf-8")


def words(path: str, text: str) -> Iterator[tuple[str, str | None]]:
    """Each SPEC of a text: its place, and the list of rows behind it; None where there is no such list."""
    for found in _WORD.finditer(text):
        yield f"{path}:{text.count(chr(10), 0, found.start()) + 1}", found[1]


def references() -> list[Reference]:
    return [
        Reference(place, row)
        for path, text in sources()
        for place, listed in words(path, text)
        if listed
        for row in rows_named(listed)
    ]


def docstrings(tree: ast.AST) -> set[ast.expr]:
    """The texts of a source that are documentation."""
    nodes = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return {
        node.body[0].value
        for node in ast.walk(tree)
        if isinstance(node, nodes) and node.body and isinstance(node.body[0], ast.Expr)
    }


def prose(text: str) -> Iterator[tuple[int, str]]:
    """Comments and texts of a Python source, with their lines."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in (tokenize.COMMENT, tokenize.STRING):
            yield token.start[0], token.string


def test_every_row_has_a_name_of_its_own_and_a_state() -> None:
    names = Counter(name for name, _ in rows())
    assert len(names) > 50
    assert not [name for name, count in names.items() if count > 1]
    assert {state for _, state in rows()} <= STATES


def test_every_line_of_a_table_is_a_row() -> None:
    page = SPECIFICATION.read_text(encoding="utf-8")
    lines = [line for line in page.splitlines() if line.startswith("|")]
    tables = page.count("\n| row | requirement | state |\n|---|---|---|\n")
    assert len(rows()) == len(lines) - 2 * tables and tables == page.count("\n## ")


def test_every_reference_finds_its_row() -> None:
    known, found = {name for name, _ in rows()}, references()
    assert len(found) > 100
    assert not [f"{one.place}: {one.row}" for one in found if one.row not in known]


def test_references_are_spelt_alike() -> None:
    alone = [place for path, text in sources() for place, listed in words(path, text) if listed is None]
    assert not alone, "write SPEC with its rows behind it, on one line: SPEC T2 or SPEC D3-D5, T2"
    letters = {name[0] for name, _ in rows()}
    bare = [
        f"{path}:{line} ({found[1]})"
        for path, text in sources()
        if path.endswith(".py")
        for line, words_there in prose(text)
        for found in _BARE.finditer(words_there)
        if set(re.findall(r"[A-Z]", found[1])) <= letters
    ]
    assert not bare, "write SPEC before a row: (SPEC T2)"


@pytest.mark.parametrize(
    ("text", "listed"),
    [
        ("see SPEC T2.", ["T2"]),
        ("(SPEC D3-D5, T2)", ["D3-D5, T2"]),
        ("SPEC E7 has 1, 2, 5", ["E7"]),
        ("SPEC row D7", [None]),
        ("SPEC D7x", [None]),
        ("SPECIAL D7", []),
    ],
)
def test_references_are_recognised(text: str, listed: list[str | None]) -> None:
    assert [found for _, found in words("a.py", text)] == listed


def test_a_range_names_all_rows_between() -> None:
    assert rows_named("D3-D5, T2") == ["D3", "D4", "D5", "T2"]


def test_users_see_no_names_of_rows() -> None:
    """Not in the reference, which holds every `--help`, in no message, and on no dashboard."""
    shown = [
        path
        for path, text in sources()
        if (path == "docs/reference.md" or path.startswith("grafana/")) and path.endswith((".md", ".json", ".yaml"))
        for _ in words(path, text)
    ]
    said = [
        f"{path}:{node.lineno}"
        for path, text in sources()
        if path.startswith(("spark_apps/", "grafana/")) and path.endswith(".py")
        for tree in [ast.parse(text)]
        for documentation in [docstrings(tree)]
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in documentation
        if _WORD.search(node.value)
    ]
    assert not shown + said
