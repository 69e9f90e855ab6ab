"""Takes dropped files out of incoming, one at a time, and puts them away after their record was published.

A file is taken by a rename to a plain name of our own, before a byte of it is read: what is read, applied and put away
is one and the same file, whatever is dropped under its name meanwhile, and nothing that reads it sees a name that
somebody else chose. Its own name stands in a note beside it, written before the rename. A stream that was killed finds
note and file, and by the record of the note's batch whether the file was applied.
"""

from __future__ import annotations

import errno
import os
import stat as modes
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import BinaryIO, cast

from pydantic import BaseModel, ConfigDict

from spark_apps.errors import UnusableFileError
from spark_apps.progress import notice
from spark_apps.storage import Entry, StoragePath, entries, write_durably
from spark_apps.streaming.drop_files import read_drop
from spark_apps.streaming.intake import (
    MOST_FAULTS,
    Content,
    Dropped,
    content_of,
    in_turn,
    moment_of,
    name_put_away,
    shown,
)
from spark_apps.streaming.records import BatchRecord, Reason
from spark_apps.tables import DONE, INCOMING, REFUSED, TAKEN
from spark_apps.telemetry.batch_log import BatchLog

# What the operating system says of a file that will not be read next time either. Anything else ends the stream.
_LASTING = {errno.EACCES, errno.EPERM, errno.ENOENT, errno.ELOOP, errno.EISDIR, errno.ENXIO, errno.ENOTDIR}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EBUSY}
# A file that cannot be moved is left for so long, and then tried again.
TRIED_AGAIN_SECONDS = 30.0
_BLOCK_BYTES = 1 << 20
_OTHER_FILE_SYSTEM = "{} lies on another file system than {}: files are taken by rename, so mount both together."


class Note(BaseModel):
    """What is written beside a taken file.

    Attributes:
        batch: the number of the batch that it is taken for.
        taken_at: when, UTC.
        name: under which it was dropped; bytes that are no UTF-8 as \\x and their digits.
        waiting: files that waited behind it.
        faults: how often the stream ended in a fault at it.
    """

    model_config = ConfigDict(frozen=True)

    batch: int
    name: str
    taken_at: datetime
    waiting: int = 0
    faults: int = 0


class Incoming:
    """The files that are dropped under a root, for the one process that applies them."""

    def __init__(self, root: StoragePath) -> None:
        """Names the root; its folders are there."""
        self._root, self._batch_log = root, BatchLog(root)
        self._not_before: dict[str, float] = {}

    def waiting(self) -> list[Entry]:
        """Returns the files that wait, in their turn."""
        return in_turn(entries(self._root / INCOMING))

    def take(self, batch: int, names: set[str] | None = None) -> Dropped | None:
        """Takes the next file; first one that a killed stream left, if it was not applied.

        Args:
            batch: the number of the next batch.
            names: take none but these; a name goes from them with its file.
        """
        # the one of this batch first: another one may have to take its number
        for note in sorted(_notes(self._root), key=lambda note: (note.batch != batch, note.batch)):
            file = self._left(note, batch)
            if file is not None:
                return file
        waiting = self.waiting()
        for place, entry in enumerate(waiting, start=1):
            now = datetime.now(timezone.utc)
            note = Note(batch=batch, name=shown(entry.name), taken_at=now, waiting=len(waiting) - place)
            wanted = (names is None or entry.name in names) and self._not_before.get(note.name, 0) <= time.monotonic()
            if wanted and self._taken(self._root / INCOMING / entry.name, note):
                if names is not None:
                    names.discard(entry.name)
                return self._read(note)
        return None

    def put_away(self, record: BatchRecord) -> None:
        """Puts a taken file where its outcome belongs, once its record is published."""
        folder = self._root / (REFUSED if record.outcome == "refused" else DONE)
        folder.mkdir(parents=True, exist_ok=True)
        name = name_put_away(record.batch, record.sha256, record.file)
        with suppress(FileNotFoundError):  # somebody took it away
            _file(self._root, record.batch).rename(_free(folder, name))
        _note(self._root, record.batch).unlink()

    def count_fault(self, batch: int) -> None:
        """Notes that the stream ended in a fault at a taken file."""
        note = Note.model_validate_json(_note(self._root, batch).read_bytes())
        self._write(note.model_copy(update={"faults": note.faults + 1}))

    def _left(self, note: Note, batch: int) -> Dropped | None:
        """What a killed stream left: None where it was applied, or is no more."""
        if not _there(_file(self._root, note.batch)):
            _note(self._root, note.batch).unlink()
            return None
        file, record = self._read(note), self._batch_log.record(note.batch)
        sha256 = file.content.sha256 if file.content else ""
        if record is not None and (record.file, record.sha256) == (note.name, sha256):
            self.put_away(record)
            return None
        if note.batch == batch:
            return file
        return self._renumbered(note, batch)

    def _renumbered(self, note: Note, batch: int) -> Dropped | None:
        """Takes a file for another batch: the state is not the one that it was taken for."""
        other = note.model_copy(update={"batch": batch})
        if not self._taken(_file(self._root, note.batch), other):
            return None
        _note(self._root, note.batch).unlink()
        return self._read(other)

    def _taken(self, source: StoragePath, note: Note) -> bool:
        """Takes a file; false when it is gone, or may not be moved: then it waits, and the next one has its turn."""
        self._write(note)
        try:
            source.rename(_file(self._root, note.batch))
        except OSError as error:
            _note(self._root, note.batch).unlink()
            if error.errno in _FORBIDDEN:
                self._leave(note.name, str(error.strerror))
            elif error.errno == errno.EXDEV:
                raise UnusableFileError(_OTHER_FILE_SYSTEM.format(source.parent, self._root / TAKEN)) from None
            elif error.errno != errno.ENOENT:
                raise
            return False
        return True

    def _leave(self, name: str, why: str) -> None:
        """Lets a file wait that cannot be moved, and says so once."""
        if name not in self._not_before:
            notice(f"{name} waits: it cannot be moved out of {INCOMING} ({why}).")
        self._not_before[name] = time.monotonic() + TRIED_AGAIN_SECONDS

    def _write(self, note: Note) -> None:
        write_durably(_note(self._root, note.batch), note.model_dump_json())

    def _read(self, note: Note) -> Dropped:
        path, drop = _file(self._root, note.batch), read_drop(note.name)
        trouble: Reason | None = "fault"
        content, modified = None, 0.0
        if note.faults < MOST_FAULTS:
            try:
                content, trouble, modified = _read_file(path)
            except OSError:
                self.count_fault(note.batch)
                raise
        return Dropped(
            path=path,
            name=note.name,
            sequence=drop.sequence if drop else None,
            dropped_at=moment_of(note.name, modified),
            arrived_at=drop.dropped_at if drop else note.taken_at,
            content=content,
            trouble=trouble,
            waiting=note.waiting,
        )


def names_taken(root: StoragePath, batch: int = 0) -> list[str]:
    """Returns the names of files that were taken for a batch or a later one, and are not put away: one as a rule."""
    return [note.name for note in _notes(root) if note.batch >= batch]


def _notes(root: StoragePath) -> Iterator[Note]:
    """Yields the notes, in the order of their batches: one as a rule."""
    found: list[StoragePath] = sorted((root / TAKEN).glob("batch-*.json"), key=str)
    for path in found:
        with suppress(FileNotFoundError):  # put away meanwhile
            yield Note.model_validate_json(path.read_bytes())


def _note(root: StoragePath, batch: int) -> StoragePath:
    return root / TAKEN / f"batch-{batch:08d}.json"


def _file(root: StoragePath, batch: int) -> StoragePath:
    return root / TAKEN / f"batch-{batch:08d}.csv"


def _read_file(path: StoragePath) -> tuple[Content | None, Reason | None, float]:
    """Returns a file's content, or why it has none, and the time of its last change."""
    try:
        status = path.stat()
        if modes.S_ISDIR(status.st_mode):
            return None, "folder", status.st_mtime
        if not modes.S_ISREG(status.st_mode):
            return None, "not_a_file", status.st_mtime  # to open a pipe would wait for its writer
        with cast(BinaryIO, path.open("rb")) as stream:
            return content_of(iter(lambda: stream.read(_BLOCK_BYTES), b"")), None, status.st_mtime
    except OSError as error:
        # a file of this machine with a bad sector stays so; of HDFS, a DataNode may come back with the block
        if error.errno not in _LASTING and not (error.errno == errno.EIO and isinstance(path, Path)):
            raise
        return None, "unreadable", 0.0


def _there(path: StoragePath) -> bool:
    """Whether there is something, be it a link that points to nothing."""
    return os.path.lexists(path) if isinstance(path, Path) else path.exists()


def _free(folder: StoragePath, name: str) -> StoragePath:
    """Returns the path of a name that nothing has: files without content may have had this one in a former life."""
    number, path = 1, folder / name
    while _there(path):
        number += 1
        path = folder / f"{name}.{number}"
    return path
