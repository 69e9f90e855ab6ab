"""The record of contents: which bytes were applied, and as which batch (SPEC T2, T6).

It is an index of the batch log, part of the state and published with it: 256 small files, by the first two digits of
a SHA-256, with a line for each content that was applied. It never forgets one, and a batch reads and writes one file.
"""

from __future__ import annotations

from collections import defaultdict

from spark_apps.progress import step
from spark_apps.storage import StoragePath, write_durably
from spark_apps.storage.transaction import Transaction
from spark_apps.tables import STREAM_STATE
from spark_apps.telemetry.batch_log import BatchLog

CONTENTS = f"{STREAM_STATE}/contents"
_DIGITS = 2


def batch_of(root: StoragePath, sha256: str) -> int | None:
    """Returns the batch as which a content was applied; None for one that is new."""
    for line in _lines(root, sha256):
        content, _, batch = line.partition(" ")
        if content == sha256:
            return int(batch)
    return None


def stage_content(transaction: Transaction, root: StoragePath, sha256: str, batch: int) -> None:
    """Stages that a content is applied, for the transaction of its batch."""
    path = _file(sha256)
    write_durably(transaction.stage(path), "\n".join([*_lines(root, sha256), f"{sha256} {batch}"]) + "\n")
    transaction.replace(path)


def ensure_contents(root: StoragePath) -> None:
    """Makes the record of contents from the batch log where a state of an earlier version, or a loss, left none."""
    if (root / CONTENTS).is_dir():
        return
    with Transaction(root, [STREAM_STATE]) as transaction, step("Contents of former files") as shown:
        batch_log = BatchLog(root)
        files: defaultdict[str, list[str]] = defaultdict(list)  # some 100 bytes of memory a batch
        for batch in (numbers := batch_log.numbers()):
            record = batch_log.record(batch)
            if record is not None and record.outcome == "applied":
                files[_file(record.sha256)].append(f"{record.sha256} {batch}")
        transaction.stage(CONTENTS).mkdir(parents=True)
        for path, lines in files.items():
            write_durably(transaction.stage(path), "\n".join(lines) + "\n")
        transaction.replace(CONTENTS)
        transaction.commit()
        shown.done = f"{len(numbers):,} records"


def _file(sha256: str) -> str:
    return f"{CONTENTS}/{sha256[:_DIGITS]}"


def _lines(root: StoragePath, sha256: str) -> list[str]:
    try:
        return (root / _file(sha256)).read_text(encoding="ascii").splitlines()
    except FileNotFoundError:
        return []
