"""The stream's batch log as the metrics read it: one record a batch, in order, one at a time."""

from __future__ import annotations

import re
from bisect import bisect_right

from pydantic import ValidationError

from spark_apps.errors import UnusableFileError
from spark_apps.storage import StoragePath
from spark_apps.streaming.records import BatchRecord
from spark_apps.tables import BATCH_LOG, record_name

_NAME = re.compile(r"batch-(\d{8})\.json")


class BatchLog:
    """The records below a root; they appear by rename and never change."""

    def __init__(self, root: StoragePath) -> None:
        """Names the batch log of a root, which need not be there yet."""
        self._folder = root / BATCH_LOG

    def record(self, batch: int) -> BatchRecord | None:
        """Returns the record of a batch, None where there is none.

        Raises:
            UnusableFileError: when it is not as the stream writes it.
        """
        try:
            return read_record(self._folder / record_name(batch))
        except FileNotFoundError:
            return None

    def numbers(self, after: int = -1) -> list[int]:
        """Returns the numbers of the batches after one, in order: numbers only, whatever the stream's length."""
        found = [_NAME.fullmatch(path.name) for path in self._folder.glob("batch-*.json")]
        numbers = sorted(int(match[1]) for match in found if match is not None)
        return numbers[bisect_right(numbers, after) :]


def read_record(path: StoragePath) -> BatchRecord:
    """Reads a file of the batch log.

    Raises:
        FileNotFoundError: when it is not there.
        UnusableFileError: when it is not as the stream writes it.
    """
    try:
        return BatchRecord.model_validate_json(path.read_bytes())
    except ValidationError as error:
        field = ".".join(map(str, error.errors()[0]["loc"])) or "JSON"
        raise UnusableFileError(
            f"{path} is no record of a batch as this version writes it ({field}: {error.errors()[0]['msg']}): use the "
            "version that wrote it."
        ) from None
