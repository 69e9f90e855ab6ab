"""`shopstream unload`: takes loaded files out again (SPEC D2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timezone
from pathlib import Path

import pyarrow.compute as pc

from spark_apps.errors import readable_file
from spark_apps.ingestion.landing import content_sha256
from spark_apps.ingestion.loaded_files import loaded_file
from spark_apps.ingestion.manifests import Manifest, date_key, read_manifests
from spark_apps.jobs.simulate import read_replay_state
from spark_apps.registry.versions import NAMES, versions
from spark_apps.storage import StoragePath, read_batches
from spark_apps.storage.catalog import published_dates, table_exists
from spark_apps.storage.transaction import Transaction, recover
from spark_apps.streaming.replay import ReplayState
from spark_apps.tables import (
    EVENTS,
    INTERACTIONS,
    PRODUCT_FEATURES,
    QUARANTINE,
    RECOMMENDATIONS,
    REPLAY,
    USER_FEATURES,
    USER_SEGMENTS,
    manifest_path,
    raw_path,
)
from spark_apps.telemetry.batch_log import BatchLog

_BATCH_ROWS = 1 << 16


@dataclass(frozen=True)
class Unloaded:
    """What was taken out, and what was made of it before.

    Attributes:
        files: the files.
        dates: dates of theirs, in order, undated rows last.
        cleaned_dates: those of which there are events or quarantined lines; the next `clean` makes them anew.
        tables: made of events of these dates since the files were loaded.
        versions: of models trained on such events, with the models' names.
        replay: the replay that takes rows of the files; None where there is none.
        streamed: whether a stream began after a file was loaded, with the events that there were of these dates.
    """

    files: list[Manifest]
    dates: list[date | None]
    cleaned_dates: list[date | None]
    tables: list[str]
    versions: dict[str, list[str]]
    replay: ReplayState | None
    streamed: bool


def loaded(root: StoragePath) -> list[Manifest]:
    """Returns the loaded files, oldest first."""
    recover(root)
    return read_manifests(root)


def run(root: StoragePath, given: Sequence[str]) -> Unloaded:
    """Takes files out: their raw rows and manifests go at one moment.

    Args:
        root: folder of the tables.
        given: of each file its name, the path of a file with the same content, or the beginning of its SHA-256.

    Raises:
        UserError: when one is not loaded, or several may be meant; then nothing is taken out.
        BusyRootError: when `clean` is at work, or a replay that takes rows of the files.
    """
    manifests = loaded(root)
    files = list({found.sha256: found for found in (_meant(manifests, one) for one in given)}.values())
    raw = [raw_path(file.sha256, day) for file in files for day in file.dates()]
    replay = read_replay_state(root, again=True)
    if replay is not None and not {one.path for one in replay.files} & set(raw):
        replay = None
    with Transaction(root, _claims(root, files, raw, replay)) as transaction:
        done = _made_of(root, files, replay)
        with transaction.exclusive():
            for target in _whole_folders(root, raw):
                transaction.remove(target)
            for file in files:
                transaction.remove(manifest_path(file.sha256))
            transaction.commit()
    return done


def _meant(manifests: Sequence[Manifest], given: str) -> Manifest:
    """The file that was loaded by that name; by its content, where it is named with a folder or not loaded by name."""
    path = Path(given)
    by_content = path.is_file() and (path.name != given or all(path.name != one.file for one in manifests))
    if by_content:
        readable_file(path)
    return loaded_file(manifests, given, path.name, content_sha256(path) if by_content else None)


def _claims(root: StoragePath, files: Sequence[Manifest], raw: Sequence[str], replay: ReplayState | None) -> list[str]:
    """What nobody else may be at work on: the raw rows, `clean` which reads them, and a replay of them."""
    claims = [EVENTS.path, *raw, *(manifest_path(file.sha256) for file in files)]
    begun = (root / REPLAY).is_dir()
    return (
        [*claims, REPLAY] if replay is not None or (begun and read_replay_state(root, again=True) is None) else claims
    )


def _whole_folders(root: StoragePath, raw: Sequence[str]) -> list[str]:
    """Raw files, or the folders of their dates where nothing else is in them."""
    goes = set(raw)
    targets: dict[str, None] = {}
    for path in raw:
        folder = (root / path).parent
        below = path.rpartition("/")[0]
        alone = all(f"{below}/{file.name}" in goes for file in folder.glob("*"))
        targets[below if alone else path] = None
    return list(targets)


def _made_of(root: StoragePath, files: Sequence[Manifest], replay: ReplayState | None) -> Unloaded:
    days = sorted({day for file in files for day in file.dates()}, key=date_key)
    published = {day for table in (EVENTS, QUARANTINE) for day in published_dates(root, table)}
    return Unloaded(
        files=list(files),
        dates=days,
        cleaned_dates=[day for day in days if day in published],
        tables=_tables(root, files),
        versions=_versions(root, files),
        replay=replay,
        streamed=any(day in published for day in days) and _streamed(root, files),
    )


def _tables(root: StoragePath, files: Sequence[Manifest]) -> list[str]:
    """Tables that were made, since one of the files was loaded, of events of its dates."""
    if not table_exists(root, USER_FEATURES):
        return []
    span = _span(root)
    since = [_loaded_at(file).timestamp() for file in files if span is not None and _has_date(file, *span)]
    made_of_events = (USER_FEATURES, PRODUCT_FEATURES, INTERACTIONS, USER_SEGMENTS, RECOMMENDATIONS)
    there = [table for table in made_of_events if table_exists(root, table)]
    return [table.name for table in there if since and int((root / table.path).stat().st_mtime) >= min(since)]


def _span(root: StoragePath) -> tuple[date, date] | None:
    """First and last date of the events that the features were made of."""
    first, last = [], []
    for path in (root / USER_FEATURES.path).glob("*.parquet"):
        for batch in read_batches(path, _BATCH_ROWS, ["first_seen", "last_seen"]):
            first.append(pc.min(batch["first_seen"]).as_py())
            last.append(pc.max(batch["last_seen"]).as_py())
    firsts, lasts = [one for one in first if one is not None], [one for one in last if one is not None]
    return (_utc_date(min(firsts)), _utc_date(max(lasts))) if firsts and lasts else None


def _utc_date(moment: datetime) -> date:
    return moment.astimezone(timezone.utc).date() if moment.tzinfo else moment.date()


def _has_date(file: Manifest, first: date, last: date) -> bool:
    return any(day is not None and first <= day <= last for day in file.dates())


def _versions(root: StoragePath, files: Sequence[Manifest]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    known = [one.metadata for name in NAMES for one in versions(root, name) if one.metadata is not None]
    for metadata in known:
        span = date.fromisoformat(metadata.first_date), date.fromisoformat(metadata.last_date)
        trained_at = datetime.fromisoformat(metadata.trained_at)
        if any(_has_date(file, *span) and _loaded_at(file) <= trained_at for file in files):
            found.setdefault(metadata.version, []).append(metadata.name)
    return dict(sorted(found.items()))


def _streamed(root: StoragePath, files: Sequence[Manifest]) -> bool:
    first = BatchLog(root).record(0)
    return first is not None and any(_loaded_at(file) <= first.committed_at for file in files)


def _loaded_at(file: Manifest) -> datetime:
    moment = datetime.fromisoformat(file.landed_at)
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
