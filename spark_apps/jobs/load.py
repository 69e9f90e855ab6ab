"""`shopstream load`: lands the raw rows of event logs by date."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import date, datetime, timezone
from pathlib import Path

from spark_apps.errors import readable_file
from spark_apps.ingestion.landing import LandedFile, content_sha256, land
from spark_apps.ingestion.loaded_files import shared_dates, shared_sentence
from spark_apps.ingestion.manifests import Manifest, date_key, read_manifests
from spark_apps.progress import byte_progress, notice
from spark_apps.storage import StoragePath
from spark_apps.storage.transaction import Transaction
from spark_apps.tables import RAW_MANIFESTS, manifest_path, partition_folder, raw_path


def run(root: StoragePath, files: Sequence[Path]) -> list[tuple[Manifest, bool]]:
    """Lands files one after the other; all of them are checked to be readable first.

    Where dates of a new file hold rows of files loaded before, a line on standard error names both.

    Args:
        root: folder of the tables.
        files: event logs, SPEC D1.

    Returns:
        Each file's manifest, and whether it was new under this root.

    Raises:
        UserError: for the first file that cannot be taken; the files before it stay landed.
    """
    for path in files:
        readable_file(path)
    return [_load_one(root, path) for path in files]


def _load_one(root: StoragePath, path: Path) -> tuple[Manifest, bool]:
    known = {manifest.sha256: manifest for manifest in read_manifests(root)}
    size = path.stat().st_size
    if any(manifest.bytes == size for manifest in known.values()):
        same = known.get(content_sha256(path))
        if same is not None:
            return same, False
    with ExitStack() as stack:
        transaction = stack.enter_context(Transaction(root, [f"{RAW_MANIFESTS}/{path.name}"]))
        bar, task = stack.enter_context(byte_progress(f"Loading {path.name}", size))
        found = _land_and_publish(transaction, known, path, lambda position: bar.update(task, completed=position))
    manifest, is_new = found
    shared = shared_dates(manifest, known.values()) if is_new else []
    if shared:
        notice(shared_sentence(manifest, shared))
    return found


def _land_and_publish(
    transaction: Transaction, known: dict[str, Manifest], path: Path, progress: Callable[[int], None]
) -> tuple[Manifest, bool]:
    def target_of(day: date | None) -> StoragePath:
        return transaction.scratch(partition_folder(day))

    landed = land(path, target_of, progress)
    if landed.sha256 in known:
        return known[landed.sha256], False
    manifest = _manifest(landed)
    for day in landed.rows_per_date:
        transaction.replace(raw_path(landed.sha256, day), target_of(day))
    staged = transaction.stage(manifest_path(landed.sha256))
    staged.write_bytes(manifest.model_dump_json(indent=1).encode())
    transaction.replace(manifest_path(landed.sha256))
    transaction.commit()
    return manifest, True


def _manifest(landed: LandedFile) -> Manifest:
    per_date = sorted(landed.rows_per_date.items(), key=lambda item: date_key(item[0]))
    return Manifest(
        file=landed.name,
        bytes=landed.bytes,
        sha256=landed.sha256,
        rows=landed.rows,
        rows_per_date={date_key(day): rows for day, rows in per_date},
        landed_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )
