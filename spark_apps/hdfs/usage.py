"""What the tree holds: size, copies, files and small files, by directory of the layout and by table."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from spark_apps.hdfs.admin import Entry, HdfsAdmin
from spark_apps.hdfs.layout import Directory, Layout, is_below
from spark_apps.tables import RAW_EVENTS, TABLES

# A file below this is small: HDFS keeps each in the NameNode's memory, and Spark opens each on its own.
SMALL_BYTES = 16 << 20


@dataclass(frozen=True)
class Usage:
    """What lies below a directory.

    Attributes:
        files: files, hidden ones and markers with them.
        directories: directories, itself left out.
        bytes: one copy of each file.
        bytes_with_copies: all copies that the files ask for.
        small_files: data files of less than SMALL_BYTES.
        mergeable: directories with two small files or more: what compacting would help.
    """

    files: int
    directories: int
    bytes: int
    bytes_with_copies: int
    small_files: int
    mergeable: int


@dataclass(frozen=True)
class Line:
    """The usage of one directory of the layout, or of one table."""

    name: str
    path: str
    usage: Usage
    quota_names: int | None = None
    quota_space: int | None = None

    def as_json(self) -> dict[str, object]:
        """Returns it flat, for programs."""
        quotas = {"quota_names": self.quota_names, "quota_space": self.quota_space}
        return {"name": self.name, "path": self.path, **asdict(self.usage), **quotas}


def is_data(path: str) -> bool:
    """Says whether a file holds rows, as Spark sees it: its name has no _ or . at the start."""
    return not posixpath.basename(path).startswith(("_", "."))


def is_small(path: str, size: int) -> bool:
    """Says whether a file is a small data file."""
    return is_data(path) and size < SMALL_BYTES


def measure(entries: Iterable[Entry]) -> Usage:
    """Adds up what was found below a directory."""
    files = directories = size = copies = 0
    small: Counter[str] = Counter()
    for entry in entries:
        if not entry.is_file:
            directories += 1
            continue
        files += 1
        size += entry.size
        copies += entry.size * entry.replication
        if is_small(entry.path, entry.size):
            small[posixpath.dirname(entry.path)] += 1
    mergeable = sum(count > 1 for count in small.values())
    return Usage(files, directories, size, copies, small.total(), mergeable)


def of_directories(hdfs: HdfsAdmin, layout: Layout) -> list[Line]:
    """Measures the layout's directories that exist; each holds what is in those below it, too."""
    tops = [one for one in layout.in_order() if one.path != "/" and not _has_parent(one, layout)]
    found = [entry for top in tops for entry in hdfs.walk(top.path)]
    return [
        _line(hdfs, directory, found)
        for directory in sorted(layout.directories, key=lambda one: one.path)
        if directory.path != "/" and hdfs.entry(directory.path) is not None
    ]


def of_tables(hdfs: HdfsAdmin, layout: Layout) -> list[Line]:
    """Measures the tables that exist below the tables' directory, the raw rows first."""
    places = [("raw events", RAW_EVENTS), *((table.name, table.path) for table in TABLES)]
    lines = []
    for name, below in places:
        path = posixpath.join(layout.tables, below)
        if hdfs.entry(path) is not None:
            lines.append(Line(name, path, measure(hdfs.walk(path))))
    return lines


def _has_parent(directory: Directory, layout: Layout) -> bool:
    others = [one.path for one in layout.directories if one.path not in ("/", directory.path)]
    return any(is_below(directory.path, other) for other in others)


def _line(hdfs: HdfsAdmin, directory: Directory, found: list[Entry]) -> Line:
    below = [entry for entry in found if is_below(entry.path, directory.path) and entry.path != directory.path]
    quotas = hdfs.quotas(directory.path)
    return Line(directory.path, directory.path, measure(below), quotas.names, quotas.space)
