"""What tests of the replay share: what was dropped, and a stream that applies files by their names alone."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone

from spark_apps.jobs.simulate import Plan
from spark_apps.storage import StoragePath
from spark_apps.streaming.drop_files import read_drop
from spark_apps.streaming.intake import name_put_away
from spark_apps.streaming.records import BatchRecord
from spark_apps.tables import BATCH_LOG, DONE, INCOMING
from tests.factory import HEADER

NOVEMBER = date(2019, 11, 1)
AT_ONCE = Plan(NOVEMBER, interval=timedelta(), ahead=1_000_000)


def never(seconds: float) -> bool:
    """Waits for nothing and is never asked to end."""
    return False


def raw(root: StoragePath) -> bytes:
    """November's raw rows in the order of the replay, each with a line feed."""
    files = sorted((root / "raw" / "events").rglob("*.csv"), key=str)
    found = [path.read_bytes() for path in files if path.parent.name.startswith("date=2019-11")]
    return b"".join(content if content.endswith(b"\n") else content + b"\n" for content in found)


def dropped_files(root: StoragePath) -> list[StoragePath]:
    """What was dropped, by number, whether the stream has read it or not."""
    folders = [root / INCOMING, root / DONE]
    found = [path for folder in folders if folder.exists() for path in folder.rglob("*.csv")]
    return sorted(found, key=lambda path: dropped_name(path))


def dropped_name(path: StoragePath) -> str:
    """The name under which a file of the replay was dropped, before and after it was put away."""
    return path.name[path.name.index("batch-") :]


def dropped(root: StoragePath) -> bytes:
    """The rows of all dropped files, whose numbers and headers are checked."""
    rows = []
    for number, path in enumerate(dropped_files(root), start=1):
        drop = read_drop(dropped_name(path))
        assert drop is not None
        assert drop.sequence == number
        header, _, body = path.read_bytes().partition(b"\n")
        assert header == HEADER.encode()
        rows.append(body)
    return b"".join(rows)


def apply_next(root: StoragePath, archive: bool = True) -> str:
    """Writes the record of the first file in incoming that has none, and puts it away as the stream does."""
    batch_log = root / BATCH_LOG
    batch_log.mkdir(parents=True, exist_ok=True)
    records = sorted(batch_log.glob("*.json"), key=str)
    applied = {BatchRecord.model_validate_json(path.read_bytes()).file for path in records}
    path = min((p for p in (root / INCOMING).glob("*.csv") if p.name not in applied), key=lambda p: p.name)
    write_record(root, len(records), path.name)
    if archive:
        target = root / DONE / name_put_away(len(records), "0" * 64, path.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)  # type: ignore[arg-type]  # both are on the same storage
    return path.name


def write_record(root: StoragePath, batch: int, name: str) -> None:
    """Writes a record of the batch_log."""
    drop, now = read_drop(name), datetime.now(timezone.utc)
    record = BatchRecord(
        batch=batch,
        file=name,
        sequence=drop.sequence if drop else None,
        sha256="",
        bytes=0,
        dropped_at=drop.dropped_at if drop else now,
        committed_at=now,
        outcome="applied",
    )
    (root / BATCH_LOG).mkdir(parents=True, exist_ok=True)
    (root / BATCH_LOG / f"batch-{batch:08d}.json").write_text(record.model_dump_json(), encoding="utf-8")
