"""How much each sink has of the batch log: a small file below the root that outlives the process (SPEC I1)."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, ValidationError

from spark_apps.storage import StoragePath, write_durably
from spark_apps.tables import DELIVERY_OFFSETS


class Sent(BaseModel):
    """What one sink has.

    Attributes:
        batch: number of the last batch sent, -1 before the first.
        file: its file's name, by which a batch log that began anew is distinguished from the one that was sent.
        batches, points: sent so far; what was sent again counts again.
        expired: points that InfluxDB would not take because they are older than its bucket keeps.
        moment: when the last was sent, UTC.
        error: what stands in the way now, None while nothing does.
        files: fingerprint of the line-protocol files without a record that were sent.
    """

    model_config = ConfigDict(frozen=True)

    batch: int = -1
    file: str | None = None
    batches: int = 0
    points: int = 0
    expired: int = 0
    moment: datetime | None = None
    error: str | None = None
    files: str | None = None


class _Offsets(BaseModel):
    sinks: dict[str, Sent] = {}


class DeliveryOffset:
    """The file of a root.

    Two processes that send to the same sink may take marks from one another. Then points are sent again, which changes
    nothing in the sink; so there is no lock.
    """

    def __init__(self, root: StoragePath) -> None:
        """Names the file of a root, which need not be there yet."""
        self._path = root / DELIVERY_OFFSETS

    def read(self, sink: str) -> Sent:
        """Returns what a sink has; nothing for an unknown one."""
        return self.all().get(sink, Sent())

    def all(self) -> dict[str, Sent]:
        """Returns what each known sink has; nothing where the file cannot be understood: then all is sent again."""
        try:
            return _Offsets.model_validate_json(self._path.read_bytes()).sinks
        except (FileNotFoundError, ValidationError):
            return {}

    def write(self, sink: str, sent: Sent) -> None:
        """Notes durably what a sink has."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        offsets = _Offsets(sinks={**self.all(), sink: sent})
        write_durably(self._path, offsets.model_dump_json(indent=1))
