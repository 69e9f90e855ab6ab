"""Dropped files on a real HDFS: the short form of tests/streaming/test_incoming.py (SPEC T2, T6)."""

from __future__ import annotations

import pytest

from spark_apps.storage import HdfsPath
from spark_apps.tables import DONE, INCOMING, REFUSED, TAKEN
from tests.streaming.applier import Applier, log_of, outcomes

# HDFS itself refuses colons
ODD_NAMES = ("week [1].csv", "a{1}.csv", "a b%20c.csv", "a*b.csv", "a?b.csv", "ümlaut.csv", "a#b.csv", "a+b&c=d;e.csv")


@pytest.fixture
def applier(on_hdfs: HdfsPath) -> Applier:
    return Applier(on_hdfs)


def drop(applier: Applier, name: str, content: bytes) -> None:
    draft = applier.root / "draft"
    draft.write_bytes(content)
    draft.rename(applier.root / INCOMING / name)  # type: ignore[arg-type]


def names_in(applier: Applier, folder: str) -> list[str]:
    return [path.name for path in (applier.root / folder).iterdir()]


def test_the_content_decides_through_kills_and_another_place(applier: Applier, on_hdfs: HdfsPath) -> None:
    drop(applier, "latest.csv", log_of("a"))
    assert applier.take() is not None  # and killed
    drop(applier, "latest.csv", log_of("b"))
    applier = Applier(on_hdfs)
    file = applier.take()
    assert file is not None
    applier.publish(file)  # and killed
    assert outcomes(Applier(on_hdfs).drain()) == [("latest.csv", "applied", None)]
    moved = on_hdfs / "moved"
    for name in ("processed", "temp"):
        moved.mkdir(exist_ok=True)
        (on_hdfs / name).rename(moved / name)
    applier = Applier(moved)
    drop(applier, "other.csv", log_of("a"))
    drop(applier, "yet-another.csv", log_of("c"))
    assert outcomes(applier.drain()) == [("other.csv", "duplicate", None), ("yet-another.csv", "applied", None)]
    assert len(names_in(applier, DONE)) == 4 and names_in(applier, TAKEN) == names_in(applier, INCOMING) == []


@pytest.mark.parametrize("name", ODD_NAMES)
def test_no_name_is_too_odd(applier: Applier, name: str) -> None:
    drop(applier, name, log_of(name))
    assert outcomes(applier.drain()) == [(name, "applied", None)]
    assert len(names_in(applier, DONE)) == 1


def test_what_cannot_be_applied_is_refused_and_the_next_goes_on(applier: Applier) -> None:
    (applier.root / INCOMING / "folder.csv").mkdir()
    drop(applier, "empty.csv", b"")
    drop(applier, "z.csv", log_of("z"))
    assert sorted(outcomes(applier.drain())) == [
        ("empty.csv", "refused", "empty"),
        ("folder.csv", "refused", "folder"),
        ("z.csv", "applied", None),
    ]
    assert len(names_in(applier, REFUSED)) == 2
