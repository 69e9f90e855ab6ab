"""Words that were retired stay away: from names of files and of everything in code, from docstrings and from docs."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
# Retired word -> the word to write instead. Each is looked for in every form given, in whatever is a name or a text.
WORDS = {
    "publication, publications": "transaction",
    "workspace, workspaces": "staging folder",
    "ledger, ledgers": "batch log",
    "handover": "image transfer",
    "mend, mends, mended, mending": "remedy, fix",
}
# Retired names -> the name instead. These words may stand in texts, where they are ordinary English.
NAMES = {
    # classes, functions, parameters
    "Wishes, wishes": "StopPolicy",
    "Wanted": "DesiredState",
    "Patient": "CheckContext",
    "Pointer, pointer, pointers, read_pointer, stage_pointer": "Alias",
    "Standing, read_standing": "ReplayState",
    "Judge": "Evaluator",
    "standing_still": "commit_lock",
    "sweep_dead, last_wish": "remove_abandoned, before_removal",
}
# Retired names of modules -> the module instead.
MODULES = {
    "sharing": "broadcast",
    "gate": "promotion_policy",
    "pointer": "alias",
    "truth": "ground_truth",
    "walk": "product_sequence",
    "gaps": "inter_event_times",
    "metrics": "telemetry, but for the command",
    "marker": "delivery_offset",
    "exclusion": "decommission",
    "copies": "replication",
    "restarts": "recreation",
    "places": "paths",
    "newest": "user_lookup",
    "course": "timeline",
    "centres": "online_kmeans",
    "learning": "user_update",
    "answering": "scoring",
    "placing": "segment_assignment",
    "gathering": "aggregation",
    "meetings": "interactions",
    "pacing": "rate_limit",
    "drops": "drop_files",
    "proposals": "candidates",
    "balances": "reconciliation",
    "shelves": "catalogues",
    "made_up": "batch_records",
    "made": "tables",
    "pair": "servers",
    "undisturbed": "reference_run",
}
# the command of that name
APART = {"commands/metrics.py", "metrics.py"}
THIS = Path(__file__).name

_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


def forms(retired: dict[str, str]) -> dict[str, str]:
    """Each form of the retired words -> what to write instead."""
    return {form: instead for words, instead in retired.items() for form in words.split(", ")}


def tracked(*endings: str) -> list[str]:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return [name for name in done.stdout.split("\0") if name.endswith(endings) and (REPOSITORY / name).is_file()]


def names_of(tree: ast.AST) -> Iterator[str]:
    """Every name in a source: of classes, functions, parameters, variables and attributes."""
    for node in ast.walk(tree):
        for attribute in ("name", "arg", "id", "attr"):
            name = getattr(node, attribute, None)
            if isinstance(name, str):
                yield name


def docstrings_of(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            yield ast.get_docstring(node) or ""


def words_of(text: str) -> set[str]:
    """The words of a text or name, in lower case: of snake_case and CamelCase each part."""
    return {part.lower() for part in _PART.findall(text)}


def retired_in(source: str) -> set[str]:
    """Retired words and names in a source's names and docstrings."""
    tree = ast.parse(source)
    names = set(names_of(tree))
    words = words_of(" ".join([*names, *docstrings_of(tree)]))
    return (forms(WORDS).keys() & words) | (forms(NAMES).keys() & names)


def told(found: dict[str, set[str]]) -> list[str]:
    instead = forms(WORDS) | forms(NAMES)
    return [f"{name}: {word} (write {instead[word]})" for name, words in found.items() for word in sorted(words)]


def test_no_retired_word_is_in_code() -> None:
    sources = [name for name in tracked(".py") if Path(name).name != THIS]
    assert len(sources) > 400
    assert not told({name: retired_in((REPOSITORY / name).read_text(encoding="utf-8")) for name in sources})


def test_no_retired_word_is_in_the_docs() -> None:
    pages = set(tracked(".md")) - {"CHANGELOG.md"}  # which says what was renamed
    assert "README.md" in pages
    found = {
        name: words_of((REPOSITORY / name).read_text(encoding="utf-8")) & forms(WORDS).keys() for name in sorted(pages)
    }
    assert not told(found)


def test_no_file_has_a_retired_name() -> None:
    retired = MODULES | forms(WORDS)
    files = [Path(name) for name in tracked(".py", ".sql", ".md")]
    wrong = [
        f"{file} (write {retired[file.stem.removeprefix('test_')]})"
        for file in files
        if file.stem.removeprefix("test_") in retired and not file.as_posix().endswith(tuple(APART))
    ]
    assert not wrong


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("class Publication: ...", {"publication"}),
        ("def open_workspace(): ...", {"workspace"}),
        ("def f(wishes): ...", {"wishes"}),
        ("def f():\n    '''Says how to mend it.'''", {"mend"}),
        ("x = read_pointer(root)", {"read_pointer"}),
        ("'''Java's compressed pointers; a recommender; a commendable walk.'''", set()),
    ],
)
def test_a_retired_word_is_found(source: str, found: set[str]) -> None:
    assert retired_in(source) == found
