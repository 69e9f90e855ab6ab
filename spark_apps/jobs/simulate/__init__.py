"""`shopstream simulate`: drops a month's raw rows, batch by batch, where the stream looks for files (SPEC T1).

Each event is dropped exactly once, whenever the command is killed. A batch is staged in temp/stream/replay under its
name; replay.json, replaced in one step, says that it is the next one and what the replay has come to with it; then it
is renamed into temp/stream/incoming. A staged file that replay.json names is as good as dropped: the next start renames
it. Any other was not finished, and is made again.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from itertools import groupby
from operator import attrgetter
from pathlib import Path, PurePosixPath
from typing import IO, Any, BinaryIO, cast

from pydantic import ValidationError

from spark_apps.errors import NothingToDoError, UnusableFileError, UserError
from spark_apps.ingestion.csv_layout import HEADER
from spark_apps.ingestion.landing import whole_rows
from spark_apps.ingestion.manifests import date_key, read_manifests
from spark_apps.jobs.simulate.rate_limit import Backlog, Pace, dropped_names
from spark_apps.jobs.stream.state_store import StateStore
from spark_apps.platform.signals import Wait
from spark_apps.progress import RowsDone, notice, row_progress
from spark_apps.provenance import Holding, ReplayedParts, holdings_of
from spark_apps.registry.alias import promoted_since
from spark_apps.storage import StoragePath, write_durably
from spark_apps.storage.catalog import clean_holdings
from spark_apps.storage.transaction import Transaction, recover
from spark_apps.streaming.drop_files import Drop, read_drop
from spark_apps.streaming.replay import (
    Block,
    Cutter,
    EventCutter,
    PartCutter,
    Piece,
    Position,
    RawFile,
    ReplayState,
    SpanCutter,
    pieces,
)
from spark_apps.tables import (
    BATCH_LOG,
    INCOMING,
    PROVENANCE,
    REPLAY,
    REPLAY_STATE,
    DateRange,
    partition_date,
    provenance_path,
    raw_path,
)
from spark_apps.telemetry.batch_log import read_record

_DRAFT = f"{REPLAY}/draft.csv"


@dataclass(frozen=True)
class Plan:
    """What to replay, and how.

    Attributes:
        month: any of its days.
        events: events of a file, if `span` is None.
        span: original time of a file, a second or more.
        interval: time from one drop to the next; 0 for none.
        ahead: dropped files that the stream need not have applied; with more of them the replay holds back.
        files: how many to drop, None for all that is left.
        again: begin at the month's first event, whatever was dropped before.
    """

    month: date
    events: int = 10_000
    span: timedelta | None = None
    interval: timedelta = timedelta(seconds=10)
    ahead: int = 5
    files: int | None = None
    again: bool = False

    def cutter(self) -> Cutter:
        """Returns what cuts the files."""
        return EventCutter(self.events) if self.span is None else SpanCutter(self.span)


@dataclass
class Replayed:
    """What one run dropped.

    Attributes:
        month: as 2019-11.
        files: how many were dropped.
        events: rows in them.
        bytes: their size.
        first_event: original time of the first row, None where nothing was dropped or it cannot be read.
        last_event: of the last row.
        position: events of the month that are dropped by now, by this run or earlier ones.
        total: events of the month.
        seconds: how long the run took; held_back: for how much of it the replay waited for the stream.
    """

    month: str
    position: int
    total: int
    files: int = 0
    events: int = 0
    bytes: int = 0
    first_event: datetime | None = None
    last_event: datetime | None = None
    seconds: float = 0.0
    held_back: float = 0.0

    @property
    def complete(self) -> bool:
        """Says whether the whole month is dropped."""
        return self.position == self.total


def run(root: StoragePath, plan: Plan, wait: Wait) -> Replayed:
    """Drops files until the month is over, enough are dropped, or it is asked to end.

    Args:
        root: folder of the tables.
        plan: what to replay, and how.
        wait: is called where the replay may end: before each file, and while it waits for its time or for the stream.

    Returns:
        What was dropped.

    Raises:
        NothingToDoError: when no rows of the month were landed.
        BusyRootError: when another process is replaying under this root.
        UserError: when the replay under way is one of another month or of other rows.
    """
    began = time.monotonic()
    recover(root)
    _month_files(root, plan.month)  # nothing is made where there is nothing to replay
    with Transaction(root, [REPLAY]) as claim:
        files = _month_files(root, plan.month)  # which `unload` leaves alone from here on
        for folder in (INCOMING, REPLAY, PROVENANCE):
            (root / folder).mkdir(parents=True, exist_ok=True)
        state = _beginning(root, plan, files)
        _say_what_is_known(root, state)
        done = Replayed(f"{plan.month:%Y-%m}", state.position.rows, state.rows)
        with row_progress(f"Replaying {done.month}", done.total) as show:
            show(done.position)
            pace = Pace(plan.interval, Backlog(root), plan.ahead, wait, lambda about: show(done.position, about))
            _drop_files(root, claim, plan, state, pace, done, show)
    done.seconds, done.held_back = time.monotonic() - began, pace.held_back
    return done


def _drop_files(
    root: StoragePath, claim: Transaction, plan: Plan, state: ReplayState, pace: Pace, done: Replayed, show: RowsDone
) -> None:
    cutter = PartCutter(plan.cutter(), _cleaned_files(root, state))
    batches = groupby(pieces(_blocks(root, state), cutter), key=attrgetter("batch"))
    for _, batch in batches:
        if done.files == plan.files or pace.ended():
            return
        draft = _write_draft(root / _DRAFT, state.position.rows, batch)
        if not pace.turn():
            draft.path.unlink()
            return
        state = _drop(root, claim, state, draft)
        _add(done, draft)
        show(done.position, f"{done.files:,} dropped, {draft.last:%d %b %H:%M}" if draft.last else "")


@dataclass(frozen=True)
class _Draft:
    """A batch that is written but has no name yet: what it holds, and what the replay comes to with it."""

    path: StoragePath
    sha256: str
    replayed: ReplayedParts
    events: int
    bytes: int
    first: datetime | None
    last: datetime | None
    position: Position


def _write_draft(path: StoragePath, rows_before: int, batch: Iterable[Piece]) -> _Draft:
    """Writes a batch to the disk, piece by piece."""
    path.unlink(missing_ok=True)
    header = f"{HEADER}\n".encode()
    first = piece = None
    events, size, digest = 0, len(header), hashlib.sha256(header)
    files: dict[str, None] = {}
    with path.open("ab") as stream:
        stream.write(header)
        for piece in batch:
            stream.write(piece.rows)
            digest.update(piece.rows)
            files[piece.file] = None
            first = piece.first if first is None else first
            events, size = events + piece.events, size + len(piece.rows)
        _sync(path, stream)
    assert piece is not None  # a batch has rows
    reached = Position(file=piece.file, offset=piece.end, rows=rows_before + events)
    return _Draft(path, digest.hexdigest(), _replayed(files), events, size, first, piece.last, reached)


def _replayed(files: Iterable[str]) -> ReplayedParts:
    parts: dict[str, tuple[str, ...]] = {}
    for file in map(PurePosixPath, files):
        day = file.parent.name.removeprefix("date=")
        parts[day] = (*parts.get(day, ()), file.stem)
    return ReplayedParts(parts=parts)


def _say_what_is_known(root: StoragePath, state: ReplayState) -> None:
    """Says that the stream learns nothing of dates whose events it has from clean."""
    left = _days_of(file.path for file, offset in state.remaining() if offset < file.bytes)
    known = {left[path] for path in _held_files(left, _stream_holdings(root, set(left.values())))}
    if not known:
        return
    notice(
        f"{len(known):,} of the {len(set(left.values())):,} dates to replay are in clean's tables already, so the "
        "stream will store their events and learn nothing new of them; if it should learn them, train on what came "
        "before: `shopstream unload FILE`, `shopstream clean`, `shopstream load FILE`, "
        f"`shopstream clean --to {state.month - timedelta(days=1)}`, `shopstream train`."
    )


def _stream_holdings(root: StoragePath, days: set[date]) -> dict[date, Holding]:
    """What clean held when the stream's state was made; what it holds now, where that will be made (anew)."""
    state = StateStore(root).read()
    if state is None or promoted_since(root, state.models):
        return clean_holdings(root, days)
    return holdings_of(state.cleaned or {})


def _cleaned_files(root: StoragePath, state: ReplayState) -> set[str]:
    """The month's raw files that clean's events were made of."""
    days = _days_of(file.path for file in state.files)
    return _held_files(days, clean_holdings(root, set(days.values())))


def _days_of(files: Iterable[str]) -> dict[str, date]:
    days = {path: partition_date(PurePosixPath(path).parent.name) for path in files}
    return {path: day for path, day in days.items() if day is not None}


def _held_files(days: Mapping[str, date], holdings: Mapping[date, Holding]) -> set[str]:
    return {path for path, day in days.items() if day in holdings and holdings[day].has(PurePosixPath(path).stem)}


def _sync(path: StoragePath, stream: IO[Any]) -> None:
    """Makes sure that the file outlives a power cut; HDFS sees to that when it is closed."""
    if isinstance(path, Path):
        stream.flush()
        os.fsync(stream.fileno())


def _drop(root: StoragePath, claim: Transaction, state: ReplayState, draft: _Draft) -> ReplayState:
    """Gives the draft its name and drops it; a process that lost its claim drops nothing."""
    drop = Drop(state.sequence + 1, datetime.now(timezone.utc))
    reached = state.model_copy(update={"sequence": drop.sequence, "name": drop.name, "position": draft.position})
    staged = root / REPLAY / drop.name
    draft.path.rename(staged)
    claim.check_claim()
    # before the drop: whoever finds the drop finds what it was cut from
    write_durably(root / provenance_path(draft.sha256), draft.replayed.model_dump_json())
    write_durably(root / REPLAY_STATE, reached.model_dump_json(indent=1))
    staged.rename(root / INCOMING / drop.name)
    return reached


def _add(done: Replayed, draft: _Draft) -> None:
    done.files, done.events, done.bytes = done.files + 1, done.events + draft.events, done.bytes + draft.bytes
    done.first_event = draft.first if done.files == 1 else done.first_event
    done.last_event, done.position = draft.last, draft.position.rows


def _month_files(root: StoragePath, month: date) -> tuple[RawFile, ...]:
    """Returns the month's raw files, by date, and by name where a date has several."""
    first = month.replace(day=1)
    days = DateRange(first, (first + timedelta(days=31)).replace(day=1) - timedelta(days=1))
    found = sorted(
        (raw_path(manifest.sha256, day), manifest.rows_per_date[date_key(day)])
        for manifest in read_manifests(root)
        for day in manifest.dates()
        if day in days
    )
    if not found:
        raise NothingToDoError(
            f"There are no raw rows of {month:%Y-%m} under {root}: run `shopstream load FILE`, after "
            f"`shopstream generate --month {month:%Y-%m} --events 1000000` if you have no log of that month."
        )
    return tuple(RawFile(path=path, bytes=_size(root / path), rows=rows) for path, rows in found)


def _size(path: StoragePath) -> int:
    try:
        return int(path.stat().st_size)
    except FileNotFoundError:
        raise UnusableFileError(
            f"{path} is missing: take its file out with `shopstream unload {path.name.partition('.')[0]}`, "
            "and load it again."
        ) from None


def _beginning(root: StoragePath, plan: Plan, files: tuple[RawFile, ...]) -> ReplayState:
    """Finishes what a killed replay left, and says where this one begins."""
    before = read_replay_state(root, plan.again)
    for staged in (root / REPLAY).glob("*.csv"):
        if before is not None and staged.name == before.name:
            staged.rename(root / INCOMING / staged.name)
        else:
            staged.unlink()
    last = max(_last_sequence(root), before.sequence if before is not None else 0)
    if before is None and last and not plan.again:
        raise UserError(
            f"{last} files were dropped under {root}, and {REPLAY_STATE}, which says what they hold, is gone: "
            "start from the month's first event with --again."
        )
    if before is None or plan.again:
        return ReplayState(month=plan.month.replace(day=1), files=files, sequence=last)
    _refuse_another(before, plan.month, files)
    return before


def read_replay_state(root: StoragePath, again: bool) -> ReplayState | None:
    """Returns where the replay under a root stands; None where none was begun.

    Args:
        root: folder of the tables.
        again: whether a damaged record is as good as none.

    Raises:
        UnusableFileError: for a damaged record.
    """
    try:
        return ReplayState.model_validate_json((root / REPLAY_STATE).read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError:
        if again:
            return None
        raise UnusableFileError(
            f"{root / REPLAY_STATE} is damaged: start from the month's first event with --again."
        ) from None


def _refuse_another(state: ReplayState, month: date, files: Sequence[RawFile]) -> None:
    if state.month != month.replace(day=1):
        raise UserError(
            f"The replay of {state.month:%Y-%m} stands at {state.position.rows:,} of {state.rows:,} events: "
            f"go on with --month {state.month:%Y-%m}, or start {month:%Y-%m} with --again."
        )
    change = state.change(files)
    if change is not None:
        raise UserError(
            f"{change} since the replay of {month:%Y-%m} began: start it from its first event with --again."
        )


def _last_sequence(root: StoragePath) -> int:
    """Returns the highest number that is known of a dropped file, 0 where none is."""
    drops = [drop for name in dropped_names(root) if (drop := read_drop(name)) is not None]
    newest = max((root / BATCH_LOG).glob("*.json"), key=attrgetter("name"), default=None)
    applied = read_record(newest).sequence or 0 if newest is not None else 0
    return max([applied, *(drop.sequence for drop in drops)])


def _blocks(root: StoragePath, state: ReplayState) -> Iterator[Block]:
    """Reads what is not dropped yet, a few MiB at a time."""
    for file, offset in state.remaining():
        day = partition_date((root / file.path).parent.name)
        assert day is not None  # rows without a date are in no month
        with cast(BinaryIO, (root / file.path).open("rb")) as stream:
            stream.seek(offset)
            for rows in whole_rows(stream, file.path):
                yield Block(file.path, day, offset, rows)
                offset += len(rows)
