"""Decisions about dropped files: by content alone, whatever their names and times (SPEC T1, T2)."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from hashlib import sha256
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_apps.storage import Entry
from spark_apps.streaming.drop_files import Drop
from spark_apps.streaming.intake import (
    REASONS,
    Dropped,
    content_of,
    hash_in_name,
    in_turn,
    judge,
    moment_of,
    name_put_away,
    shown,
    why_left,
)
from spark_apps.streaming.records import BatchRecord, Reason
from tests.factory import HEADER
from tests.telemetry.records import record

MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=()), min_size=1, max_size=60)


def entry(name: str, modified: float = 0.0, kind: Literal["file", "folder", "other"] = "file") -> Entry:
    return Entry(name, kind, 10, modified)


def dropped(content: bytes | None, trouble: Reason | None = None) -> Dropped:
    read = None if content is None else content_of([content])
    return Dropped("/taken", "x.csv", None, MOMENT, MOMENT, read, trouble)


@pytest.mark.parametrize(
    ("name", "kind", "why"),
    [
        (".x.csv", "file", "its name begins with a dot"),
        ("_x.csv", "file", "its name begins with a dot or an underscore"),
        ("x.csv.gz", "file", "its name does not end with .csv"),
        ("x.CSV", "file", "its name does not end with .csv"),
        ("x.csv.part", "file", "its name does not end with .csv"),
        ("november", "folder", "it is a folder"),
    ],
)
def test_what_is_left_has_a_reason(name: str, kind: Literal["file", "folder"], why: str) -> None:
    assert (why_left(entry(name, kind=kind)) or "").startswith(why)
    assert in_turn([entry(name, kind=kind)]) == []


@pytest.mark.parametrize("kind", ["file", "folder", "other"])
def test_whatever_ends_with_csv_has_its_turn(kind: Literal["file", "folder", "other"]) -> None:
    """A folder or a link to nothing, too: it is refused with a record, and out of the way."""
    assert in_turn([entry("x.csv", kind=kind)]) == [entry("x.csv", kind=kind)]


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(-1000, 1000)), max_size=8, unique_by=lambda one: one[0]))
def test_files_of_the_replay_come_by_number_whatever_the_clock_did(drops: list[tuple[int, int]]) -> None:
    names = [Drop(number, MOMENT + timedelta(seconds=late)).name for number, late in drops]
    assert [one.name for one in in_turn(map(entry, names))] == sorted(names)


@given(
    st.lists(st.tuples(NAMES, st.floats(-1e12, 1e12)), max_size=8, unique_by=lambda one: one[0]),
    st.lists(st.integers(0, 10**6), max_size=4, unique=True),
    st.randoms(),
)
def test_the_order_does_not_hang_on_how_a_folder_is_listed(others, numbers, random) -> None:  # type: ignore[no-untyped-def]
    entries = [entry("x" + name + ".csv", modified) for name, modified in others]
    entries += [entry(Drop(number, MOMENT).name) for number in numbers]
    expected = in_turn(entries)
    random.shuffle(entries)
    assert in_turn(entries) == expected and len(expected) == len(entries)


def test_a_file_from_elsewhere_has_its_turn_by_time_among_those_of_the_replay() -> None:
    drops = [Drop(number, MOMENT + timedelta(seconds=10 * number)) for number in (1, 2, 3)]
    found = in_turn([*(entry(drop.name) for drop in drops), entry("a.csv", MOMENT.timestamp() + 25)])
    assert [one.name for one in found] == [drops[0].name, drops[1].name, "a.csv", drops[2].name]


@given(st.binary(max_size=300), st.integers(1, 7))
def test_a_content_is_its_size_hash_and_first_line(content: bytes, at_once: int) -> None:
    found = content_of(content[start : start + at_once] for start in range(0, len(content), at_once))
    assert (found.bytes, found.sha256) == (len(content), sha256(content).hexdigest())
    assert found == content_of([content])


@pytest.mark.parametrize("beginning", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("ending", [b"", b"\n", b"\r\n", b"\nrow\n"])
def test_a_header_is_known_with_every_line_end(beginning: bytes, ending: bytes) -> None:
    assert judge(dropped(beginning + HEADER.encode() + ending), known=False) == ("applied", None)


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        (dropped(b""), "empty"),
        (dropped(b"\n"), "header"),
        (dropped(HEADER.encode() + b",more\n"), "header"),
        (dropped(HEADER.encode()[:-1]), "header"),
        (dropped(b"\x1f\x8b\x08\x00torn"), "header"),
        (dropped(None), "unreadable"),
        (dropped(None, "folder"), "folder"),
        (dropped(HEADER.encode(), "fault"), "fault"),
    ],
)
def test_a_refusal_has_a_reason(file: Dropped, reason: Reason) -> None:
    assert judge(file, known=False) == ("refused", reason)
    assert REASONS[reason]


def test_a_known_content_is_a_duplicate_under_any_name_and_an_empty_one_is_refused_again() -> None:
    assert judge(dropped(HEADER.encode()), known=True) == ("duplicate", None)
    assert judge(dropped(b""), known=True) == ("refused", "empty")


@given(NAMES)
def test_every_name_can_be_shown_written_down_and_put_away(name: str) -> None:
    """Also one that is no UTF-8, which Python has with lone surrogates."""
    raw = "".join(letter for letter in name if not "\ud800" <= letter <= "\udfff") + "\udcff"
    told = shown(raw)
    told.encode("utf-8")
    written = record(file=told)
    assert BatchRecord.model_validate_json(written.model_dump_json()) == written
    away = name_put_away(7, "ab" * 32, told)
    assert len(away.encode()) <= 255 - len(".99") and "/" not in away and away.isprintable()
    assert hash_in_name(away) == "ab" * 6


@given(st.integers(0, 99_999_999), st.binary(max_size=4), st.binary(max_size=4), NAMES)
def test_two_contents_are_never_put_away_under_one_name(batch: int, one: bytes, other: bytes, name: str) -> None:
    first, second = (
        name_put_away(batch, sha256(content).hexdigest(), name.encode("utf-8", "replace").decode())
        for content in (one, other)
    )
    assert (first == second) == (one == other)


@pytest.mark.parametrize("modified", [-1e18, -1.0, 0.0, 1e18, float("inf")])
def test_no_time_is_too_odd(modified: float) -> None:
    now = datetime.now(timezone.utc)
    moment = moment_of("x.csv", modified)
    assert datetime.fromtimestamp(0, timezone.utc) <= moment <= now + timedelta(minutes=1)
    assert moment_of(Drop(3, MOMENT).name, modified) == MOMENT
