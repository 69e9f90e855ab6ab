"""`shopstream clean`: raw rows to typed events by date, the unusable ones to quarantine (SPEC D3, D4, D6)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import date, datetime, timezone

import pyarrow as pa

from spark_apps.engine.base import Engine
from spark_apps.errors import BalanceError, NothingToDoError
from spark_apps.ingestion.manifests import Manifest, date_key, latest_events, raw_files, raw_rows, read_manifests
from spark_apps.ingestion.raw_lines import READ, Piece, clean_piece, pieces_of
from spark_apps.provenance import CleanedDate
from spark_apps.storage import StoragePath, write_durably
from spark_apps.storage.catalog import published_dates
from spark_apps.storage.transaction import Transaction, recover
from spark_apps.tables import (
    CLEANED,
    EVENTS,
    QUARANTINE,
    RAW_EVENTS,
    DateRange,
    cleaned_path,
    part_of,
    partition_date,
    partition_folder,
)


@dataclass
class DayBalance:
    """Rows of one date: raw = clean + quarantined."""

    raw: int = 0
    clean: int = 0
    quarantined: Counter[str] = field(default_factory=Counter)

    def balances(self) -> bool:
        """Says whether every raw row is accounted for."""
        return self.raw == self.clean + self.quarantined.total()


Balance = dict[date | None, DayBalance]


def run(engine: Engine, root: StoragePath, dates: DateRange) -> Balance:
    """Cleans the landed rows of a range of dates and replaces just those dates.

    Dates of which no landed file has rows any more are removed from the tables.

    Returns:
        The row balance of each date; the removed ones have no rows.

    Raises:
        NothingToDoError: when no rows of these dates were landed, and the tables hold none of them.
        BalanceError: when the rows written are not the rows landed, or landed files are missing;
            nothing is published then.
    """
    recover(root)
    with Transaction(root, [EVENTS.path, QUARANTINE.path, CLEANED]) as transaction:
        manifests = read_manifests(root)
        expected = raw_rows(manifests, dates)
        removed = _dates_without_rows(root, dates, expected)
        if not expected and not removed:
            raise NothingToDoError(f"No raw rows for {dates} under {root}: run `shopstream load FILE` first.")
        staged = {table: transaction.scratch(table.name) for table in (EVENTS, QUARANTINE)}
        outputs = {table.name: folder for table, folder in staged.items()}
        done = engine.map(clean_piece, _pieces(root, manifests, dates), outputs)
        balance = _balance(expected, done.result("read", READ))
        _check(balance, root)
        for day in (*expected, *removed):
            for table, folder in staged.items():
                _replace_date(transaction, table.path, folder, day)
            _note_parts(transaction, manifests, day, balance.get(day))
        for table in (EVENTS, QUARANTINE):
            (root / table.path).mkdir(parents=True, exist_ok=True)
        transaction.commit()
    return balance | {day: DayBalance() for day in removed}


def _pieces(root: StoragePath, manifests: list[Manifest], dates: DateRange) -> list[Piece]:
    """The landed files in pieces, the largest first."""
    latest = latest_events(manifests, dates)
    pieces = []
    for path in raw_files(manifests, dates):
        file = root / path
        if not file.is_file():
            raise _raw_was_changed(f"{path} is missing", root)
        pieces += pieces_of(file, file.stat().st_size, partition_date(file.parent.name), latest.get(path))
    return sorted(pieces, key=lambda piece: (piece.start - piece.end, str(piece.path), piece.start))


def _dates_without_rows(root: StoragePath, dates: DateRange, expected: Counter[date | None]) -> list[date | None]:
    """Dates that the tables hold and no landed file has any more."""
    held = {day for table in (EVENTS, QUARANTINE) for day in published_dates(root, table) if day in dates}
    return sorted(held - set(expected), key=date_key)


def _balance(expected: Counter[date | None], read: pa.Table) -> Balance:
    """What the files that were written hold, beside what was landed."""
    balance = {day: DayBalance(raw=rows) for day, rows in sorted(expected.items(), key=lambda item: str(item[0]))}
    for row in read.to_pylist():  # a row a piece and reason
        entry = balance.setdefault(row["date"], DayBalance())
        if row["reason"] is None:
            entry.clean += row["rows"]
        else:
            entry.quarantined[row["reason"]] += row["rows"]
    return balance


def _check(balance: Balance, root: StoragePath) -> None:
    wrong = [
        f"{day or 'no date'}: {entry.raw:,} raw rows, "
        f"{entry.clean:,} clean and {entry.quarantined.total():,} quarantined"
        for day, entry in balance.items()
        if not entry.balances()
    ]
    if wrong:
        raise _raw_was_changed(f"The rows do not balance ({'; '.join(wrong)})", root)


def _raw_was_changed(fault: str, root: StoragePath) -> BalanceError:
    return BalanceError(
        f"{fault}; nothing was replaced: somebody changed files below raw/, so remove {(root / RAW_EVENTS).parent} "
        "and load your files again."
    )


def _replace_date(transaction: Transaction, table: str, staged: StoragePath, day: date | None) -> None:
    target = f"{table}/{partition_folder(day)}"
    source = staged / partition_folder(day)
    if source.exists():
        transaction.replace(target, source)
    else:
        transaction.remove(target)


def _note_parts(transaction: Transaction, manifests: list[Manifest], day: date | None, rows: DayBalance | None) -> None:
    """Writes down which landed files the date was made of; of one that is removed nothing stays."""
    if rows is None:
        transaction.remove(cleaned_path(day))
        return
    parts = sorted(part_of(manifest.sha256) for manifest in manifests if date_key(day) in manifest.rows_per_date)
    note = CleanedDate(
        parts=tuple(parts),
        clean=rows.clean,
        quarantined=rows.quarantined.total(),
        cleaned_at=datetime.now(timezone.utc),
    )
    write_durably(transaction.stage(cleaned_path(day)), note.model_dump_json())
    transaction.replace(cleaned_path(day))
