"""From the tree that is to the tree that should be: the differences, each with what fixes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

from spark_apps.hdfs.admin import HdfsAdmin, HdfsRefusedError
from spark_apps.hdfs.layout import Directory, Layout
from spark_apps.platform.sizes import in_words


@dataclass(frozen=True)
class Change:
    """One difference between what is and what should be.

    Attributes:
        path: the directory.
        what: which of its properties.
        have: as it is.
        want: as it should be.
        do: makes it so.
    """

    path: str
    what: str
    have: str
    want: str
    do: Callable[[], None] = field(compare=False, repr=False)


def differences(hdfs: HdfsAdmin, layout: Layout) -> Iterator[Change]:
    """Yields what differs from the layout, parents before children; done in this order, nothing differs any more.

    Raises:
        HdfsRefusedError: when a file is where a directory should be.
    """
    for directory in layout.in_order():
        yield from _of_directory(hdfs, directory)
    yield from _of_replication(hdfs, layout)


def _of_directory(hdfs: HdfsAdmin, wanted: Directory) -> Iterator[Change]:
    found = hdfs.entry(wanted.path)
    if found is None:
        yield Change(wanted.path, "directory", "missing", _in_words(wanted), partial(_create, hdfs, wanted))
        return
    if found.is_file:
        raise HdfsRefusedError(f"{wanted.path} is a file on HDFS where the layout has a directory: move it away.")
    have, want = f"{found.owner}:{found.group}", f"{wanted.owner}:{wanted.group}"
    if have != want:
        yield Change(wanted.path, "owner", have, want, partial(hdfs.set_owner, wanted.path, wanted.owner, wanted.group))
    if found.permission != wanted.permission:
        want = wanted.permission
        yield Change(wanted.path, "mode", found.permission, want, partial(hdfs.set_permission, wanted.path, want))
    yield from _of_quotas(hdfs, wanted)


def _of_quotas(hdfs: HdfsAdmin, wanted: Directory) -> Iterator[Change]:
    found = hdfs.quotas(wanted.path)
    if (found.names, found.space) != (wanted.names, wanted.space):
        have, want = _quotas_in_words(found.names, found.space), _quotas_in_words(wanted.names, wanted.space)
        yield Change(
            wanted.path, "quota", have, want, partial(hdfs.set_quotas, wanted.path, wanted.names, wanted.space)
        )


def _of_replication(hdfs: HdfsAdmin, layout: Layout) -> Iterator[Change]:
    """Compares the files' numbers of copies, where the layout has a wish, with as many as the DataNodes can hold."""
    ruled = [one for one in layout.in_order() if one.replication is not None]
    if not ruled:
        return
    datanodes = hdfs.live_datanodes()
    for directory in ruled:
        assert directory.replication is not None
        copies = max(1, min(directory.replication, datanodes))
        wrong = [
            entry
            for entry in hdfs.walk(directory.path)
            if entry.is_file and entry.replication != copies and layout.home_of(entry.path) == directory
        ]
        if wrong:
            have = ", ".join(str(one) for one in sorted({entry.replication for entry in wrong}))
            files = [entry.path for entry in wrong]
            what = f"copies of {len(files):,} file{'s' if len(files) > 1 else ''}"
            yield Change(directory.path, what, have, str(copies), partial(_replicate, hdfs, files, copies))


def _create(hdfs: HdfsAdmin, wanted: Directory) -> None:
    hdfs.make(wanted.path, wanted.permission)
    hdfs.set_owner(wanted.path, wanted.owner, wanted.group)
    if wanted.names is not None or wanted.space is not None:
        hdfs.set_quotas(wanted.path, wanted.names, wanted.space)


def _replicate(hdfs: HdfsAdmin, files: list[str], copies: int) -> None:
    for path in files:
        if hdfs.entry(path) is not None:  # a job may have replaced it since it was listed
            hdfs.set_replication(path, copies)


def _in_words(wanted: Directory) -> str:
    parts = [f"{wanted.owner}:{wanted.group} {wanted.permission}"]
    if wanted.names is not None or wanted.space is not None:
        parts.append(_quotas_in_words(wanted.names, wanted.space))
    return ", ".join(parts)


def _quotas_in_words(names: int | None, space: int | None) -> str:
    reported = [f"{names:,} names" if names else "", in_words(space) if space else ""]
    return ", ".join(part for part in reported if part) or "none"
