"""What is done with a dropped file, decided by its content and the record of contents alone (SPEC T1, T2, T6).

Neither a file's name nor its times nor the place of its folder says whether it is new. Files that stand in incoming
together are taken one by one: those of the replay by their numbers, others by the time of their last change, and
those of the same moment by name. What was applied is known by its SHA-256.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timezone

from spark_apps.ingestion.csv_layout import HEADER
from spark_apps.storage import Entry, StoragePath
from spark_apps.streaming.drop_files import read_drop
from spark_apps.streaming.records import Outcome, Reason

ENDING = ".csv"
# A file that the stream ended in a fault at so often is refused, so that the files behind it have their turn.
MOST_FAULTS = 3

REASONS: dict[Reason, str] = {
    "empty": "it has no byte",
    "header": "its first line is not the header of an event log",
    "folder": "it is a folder",
    "not_a_file": "it is neither a file nor a folder",
    "unreadable": "it cannot be read: see its owner, its mode, or where it points to",
    "fault": f"the stream ended in a fault at it {MOST_FAULTS} times",
}

# Bytes of a file's beginning that are looked at: the header, with room for a byte order mark and a line end.
_HEAD_BYTES = len(HEADER) + 8
_BYTE_ORDER_MARK = "\ufeff"
# Most bytes that a file keeps of its name when it is put away: with what is set before them, file systems take it.
_NAME_BYTES = 180
_PUT_AWAY = re.compile(r"\d{8}-([0-9a-f]{12})-.*", re.DOTALL)
# so much of a SHA-256 tells contents apart
HASH_LETTERS = 12


@dataclass(frozen=True)
class Content:
    """What the bytes of a file are: how many, their SHA-256, and the first line without its end."""

    bytes: int
    sha256: str
    first_line: str


@dataclass(frozen=True)
class Dropped:
    """A file that was taken out of incoming.

    Attributes:
        path: where it stands now.
        name: under which it was dropped, as it can be shown.
        sequence: its number in the replay; None for a file from elsewhere.
        dropped_at: from its name, else the time of its last change, UTC, never later than now.
        arrived_at: no event of it can be later: when it was dropped, for one from elsewhere when it was taken, since
            its own time may be that of an archive that it comes from.
        content: None where it could not be read.
        trouble: why it is refused whatever its content.
        waiting: files that waited behind it when it was taken.
    """

    path: StoragePath
    name: str
    sequence: int | None
    dropped_at: datetime
    arrived_at: datetime
    content: Content | None
    trouble: Reason | None = None
    waiting: int = 0


def why_left(entry: Entry) -> str | None:
    """Says why something in incoming is not for the stream; None where it is."""
    if entry.name.startswith((".", "_")):
        return "its name begins with a dot or an underscore, as those of unfinished files do"
    if not entry.name.endswith(ENDING):
        return "it is a folder" if entry.kind == "folder" else f"its name does not end with {ENDING}"
    return None


def in_turn(entries: Iterable[Entry]) -> list[Entry]:
    """Returns the entries that are for the stream, in the order in which they are taken.

    A file of the replay is not taken before one with a lower number, even if a clock was set back between the two.
    """
    taken = [entry for entry in entries if why_left(entry) is None]
    drops = [(drop, entry) for entry in taken if (drop := read_drop(entry.name)) is not None]
    times = {entry.name: (entry.modified, 0) for entry in taken}
    latest = float("-inf")
    for drop, entry in sorted(drops, key=lambda pair: pair[0].sequence):
        latest = max(latest, drop.dropped_at.timestamp())
        times[entry.name] = (latest, drop.sequence)
    return sorted(taken, key=lambda entry: (times[entry.name], entry.name))


def content_of(blocks: Iterable[bytes]) -> Content:
    """Returns what the bytes of a file are, of which one block at a time is in memory."""
    digest, size, head = hashlib.sha256(), 0, b""
    for block in blocks:
        digest.update(block)
        size += len(block)
        head = (head + block)[:_HEAD_BYTES] if len(head) < _HEAD_BYTES else head
    line = head.partition(b"\n")[0].decode("utf-8", "replace").removeprefix(_BYTE_ORDER_MARK).rstrip("\r")
    return Content(size, digest.hexdigest(), line)


def judge(file: Dropped, known: bool) -> tuple[Outcome, Reason | None]:
    """Says what becomes of a file.

    A refused content is in no table, so it is refused again, with another record, each time it is dropped.

    Args:
        file: what was taken.
        known: whether its content was applied before.

    Returns:
        The outcome, and the reason of a refusal.
    """
    if file.trouble is not None or file.content is None:
        return "refused", file.trouble or "unreadable"
    if not file.content.bytes:
        return "refused", "empty"
    if known:
        return "duplicate", None
    if file.content.first_line != HEADER:
        return "refused", "header"
    return "applied", None


def moment_of(name: str, modified: float) -> datetime:
    """Returns when a file was dropped: as its name says, else its last change, between 1970 and now, UTC."""
    drop, now = read_drop(name), datetime.now(timezone.utc)
    if drop is not None:
        return drop.dropped_at
    return datetime.fromtimestamp(min(max(modified, 0.0), now.timestamp()), timezone.utc)


def shown(name: str) -> str:
    """Returns a file's name as text: bytes that are no UTF-8 are written as \\x and their digits."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def name_put_away(batch: int, sha256: str, name: str) -> str:
    """Returns the name in done or refused of a file: two contents never have the same one.

    Args:
        batch: its number.
        sha256: of its content; empty where it could not be read.
        name: under which it was dropped, as `shown` returns it.
    """
    plain = re.sub(r"[^\w.-]", "_", name).encode()[-_NAME_BYTES:].decode("utf-8", "ignore")
    return f"{batch:08d}-{sha256[:HASH_LETTERS] or 'unread'}-{plain}"


def hash_in_name(name: str) -> str | None:
    """Returns how the SHA-256 begins of what stands in done under a name; None where the stream did not give it."""
    found = _PUT_AWAY.fullmatch(name)
    return found[1] if found else None
