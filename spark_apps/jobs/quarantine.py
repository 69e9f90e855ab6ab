"""`shopstream quarantine`: lines that could not be used, read without Spark (SPEC D4)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from spark_apps.errors import MissingTableError, NothingCleanError, NothingToDoError, ReplacedTableError
from spark_apps.ingestion.faults import fault, reason_lines
from spark_apps.ingestion.lines import LINE, REASON
from spark_apps.ingestion.manifests import read_manifests
from spark_apps.storage import StoragePath, read_batches
from spark_apps.storage.catalog import published_dates, table_exists
from spark_apps.storage.transaction import commit_lock
from spark_apps.tables import EVENTS, QUARANTINE, STREAM_EVENTS, STREAM_QUARANTINE, DateRange, Table, partition_folder

# rows that are read together: of reasons alone, and of whole lines
_REASONS_READ, _LINES_READ = 1 << 16, 256
_LONGEST_LINE = 100_000  # letters
_BATCH = "batch"


@dataclass(frozen=True)
class Refused:
    """A line in quarantine.

    Attributes:
        date: at the head of the line; None where there is none.
        batch: the stream's batch; None for a line that `clean` put there.
        reason: one of lines.REASONS.
        fault: what is wrong with it, in words.
        raw_line: the line, which is cut where it is longer than _LONGEST_LINE.
    """

    date: date | None
    batch: int | None
    reason: str
    fault: str
    raw_line: str


@dataclass(frozen=True)
class _File:
    """A file of quarantined lines, and how many it has of each reason."""

    path: StoragePath
    day: date | None
    table: Table
    reasons: Counter[str]


def run(
    root: StoragePath, wanted: Callable[[date | None], bool], reason: str | None, limit: int
) -> tuple[Counter[str], list[Refused]]:
    """Reads lines that `clean` and the stream set aside, those of the latest dates first, undated ones last.

    Args:
        root: folder of the tables.
        wanted: says of a date whether its lines are asked for.
        reason: the reason wanted; None for all.
        limit: most lines returned; so many are in memory.

    Returns:
        How many lines of these dates there are for each reason, and the first lines.

    Raises:
        MissingTableError: when nothing was cleaned yet.
        ReplacedTableError: when a job published other lines meanwhile.
    """
    if not any(table_exists(root, table) for table in (QUARANTINE, STREAM_QUARANTINE)):
        raise MissingTableError(QUARANTINE.name, QUARANTINE.command)
    try:
        files = _files(root, (QUARANTINE, STREAM_QUARANTINE), wanted)
        reasons: Counter[str] = sum((file.reasons for file in files), Counter())
        lines: list[Refused] = []
        for file in files:
            if len(lines) < limit and (reason is None or file.reasons[reason]):
                lines += _lines(file, reason, limit - len(lines))
    except FileNotFoundError:
        raise ReplacedTableError(root) from None
    return reasons, lines


def reason_texts(root: StoragePath, dates: DateRange, total: int | None = None) -> list[str]:
    """Says for each reason of the lines that `clean` set aside how many there are, with an example: two lines of text.

    Args:
        root: folder of the tables.
        dates: of the lines.
        total: all lines of these dates, good and bad; None where all are bad.

    Raises:
        ReplacedTableError: when a job published other lines meanwhile.
    """
    try:
        files = _files(root, (QUARANTINE,), lambda day: day in dates)
        reasons: Counter[str] = sum((file.reasons for file in files), Counter())
        examples = {
            reason: _lines(next(file for file in files if file.reasons[reason]), reason, 1)[0] for reason in reasons
        }
    except FileNotFoundError:
        raise ReplacedTableError(root) from None
    every = reasons.total() if total is None else total
    return [
        text
        for reason, rows in reasons.most_common()
        for text in reason_lines(reason, rows, every, examples[reason].raw_line)
    ]


def require_events(root: StoragePath, dates: DateRange, tables: Sequence[Table] = (EVENTS, STREAM_EVENTS)) -> None:
    """Says why there is no clean event of some dates, where that is not because other dates were asked for.

    Args:
        root: folder of the tables.
        dates: which dates.
        tables: where events of them may be.

    Raises:
        NothingCleanError: when every line of these dates is in quarantine; its details say why.
        NothingToDoError: when there is no line of any date, or none was cleaned.
    """
    if not table_exists(root, EVENTS):
        return  # whoever reads it is told so
    if any(day in dates for table in tables for day in published_dates(root, table)):
        return
    details = reason_texts(root, dates)
    if details:
        raise NothingCleanError(None if dates == DateRange() else str(dates), tuple(details))
    if any(published_dates(root, table) for table in tables):
        return  # of other dates
    first = "" if read_manifests(root) else "`shopstream load FILE`, then "
    raise NothingToDoError(f"There is no event under {root}: run {first}`shopstream clean` first.")


def count_reasons(paths: Iterable[StoragePath]) -> Counter[str]:
    """Counts the lines of files of quarantined ones by their reason."""
    reasons: Counter[str] = Counter()
    for path in paths:
        for batch in read_batches(path, _REASONS_READ, [REASON]):
            for one in pc.value_counts(batch[REASON]).to_pylist():  # at most one a reason
                reasons[one["values"]] += one["counts"]
    return reasons


def _files(root: StoragePath, tables: Sequence[Table], wanted: Callable[[date | None], bool]) -> list[_File]:
    """The files of the dates asked for, latest dates first, with the reasons in them."""
    found: list[tuple[date | None, Table, StoragePath]] = []
    with commit_lock(root):
        for table in tables:
            for day in filter(wanted, published_dates(root, table)):
                folder = root / table.path / partition_folder(day)
                paths: list[StoragePath] = sorted(folder.glob("*.parquet"), key=str)
                found += [(day, table, path) for path in paths]
    latest_first = sorted(found, key=lambda one: one[0] or date.min, reverse=True)
    return [_File(path, day, table, count_reasons([path])) for day, table, path in latest_first]


def _lines(file: _File, reason: str | None, limit: int) -> list[Refused]:
    """The first lines of a file, at most `limit`."""
    found: list[Refused] = []
    for row in _rows(file, reason):
        found.append(row)
        if len(found) == limit:
            break
    return found


def _rows(file: _File, reason: str | None) -> Iterator[Refused]:
    columns = [LINE, REASON, *([_BATCH] if file.table is STREAM_QUARANTINE else [])]
    for batch in read_batches(file.path, _LINES_READ, columns):
        rows = pa.Table.from_batches([batch])
        chosen = rows if reason is None else rows.filter(pc.equal(rows[REASON], reason))
        for row in chosen.to_pylist():
            why = fault(row[REASON], row[LINE])
            yield Refused(file.day, row.get(_BATCH), row[REASON], why, row[LINE][:_LONGEST_LINE])
