"""What has expired: found by the layout's rules and the NameNode's clock, never what a job still needs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from spark_apps.hdfs.admin import Entry, HdfsAdmin
from spark_apps.hdfs.layout import Directory, Layout, is_below
from spark_apps.hdfs.usage import Usage, measure
from spark_apps.tables import JOURNAL, TRANSACTIONS

_DAY = 86_400
_LOCK_ENDING = ".lock"


@dataclass(frozen=True)
class Expired:
    """Something that has expired.

    Attributes:
        path: the file or directory to remove.
        rule: the layout's directory whose retention it is.
        age_days: since the newest thing in it was changed.
        usage: what goes with it.
    """

    path: str
    rule: Directory
    age_days: float
    usage: Usage


def expired(hdfs: HdfsAdmin, layout: Layout) -> Iterator[Expired]:
    """Yields what has expired, by directory.

    A transaction that was committed and waits for its last renames stays, and so does one at work: its lock is
    renewed every few seconds, so it never gets old.
    """
    now = hdfs.now()
    for rule in layout.in_order():
        if rule.retention is None:
            continue
        for unit in _units(hdfs, layout, rule):
            found = _judged(hdfs, layout, rule, unit, now)
            if found is not None:
                yield found


def remove(hdfs: HdfsAdmin, layout: Layout, found: Expired) -> bool:
    """Removes something that has expired, after a second look; false when it was changed or removed meanwhile."""
    entry = hdfs.entry(found.path)
    if entry is None or _judged(hdfs, layout, found.rule, entry, hdfs.now()) is None:
        return False
    return hdfs.remove(found.path)


def _units(hdfs: HdfsAdmin, layout: Layout, rule: Directory) -> Iterator[Entry]:
    """What is kept or removed as a whole: direct children or files, by the rule; directories of the layout stay."""
    assert rule.retention is not None
    if rule.retention.of == "entries":
        listed = [one.path for one in layout.directories]
        children = hdfs.entries(rule.path)
        yield from (entry for entry in children if not any(is_below(path, entry.path) for path in listed))
    else:
        below = (entry for entry in hdfs.walk(rule.path) if entry.is_file)
        yield from (entry for entry in below if layout.home_of(entry.path) == rule)


def _judged(hdfs: HdfsAdmin, layout: Layout, rule: Directory, unit: Entry, now: float) -> Expired | None:
    assert rule.retention is not None
    inside = [] if unit.is_file else list(hdfs.walk(unit.path))
    age = (now - max(entry.modified for entry in (unit, *inside))) / _DAY
    if age <= rule.retention.days or _is_needed(layout, unit, inside):
        return None
    return Expired(unit.path, rule, age, measure([unit] if unit.is_file else inside))


def _is_needed(layout: Layout, unit: Entry, inside: list[Entry]) -> bool:
    """Says whether publishing still needs it: the lock all jobs meet at, or a committed transaction's renames."""
    if unit.path.endswith(_LOCK_ENDING):
        return True
    publish = f"{layout.tables.rstrip('/')}/{TRANSACTIONS}"
    committed = any(entry.path == f"{unit.path}/{JOURNAL}" for entry in inside)
    return committed and is_below(unit.path, publish)
