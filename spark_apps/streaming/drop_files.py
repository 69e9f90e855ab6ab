"""What the names of dropped files say."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timezone

_NAME = re.compile(r"batch-(\d{8})-(\d{8}T\d{6}\.\d{6}Z)\.csv")
_TIME = "%Y%m%dT%H%M%S.%fZ"


@dataclass(frozen=True)
class Drop:
    """A dropped file: its number in the replay, from 1, and when it was dropped, UTC.

    The time stands in the name, so that whatever is repeated for a file is repeated with the same time (SPEC I2).
    """

    sequence: int
    dropped_at: datetime

    @property
    def name(self) -> str:
        """The file's name, which sorts by number."""
        return f"batch-{self.sequence:08d}-{self.dropped_at.astimezone(timezone.utc).strftime(_TIME)}.csv"


def read_drop(name: str) -> Drop | None:
    """Reads a file's name; None for a file that the replay did not drop."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    return Drop(int(found[1]), datetime.strptime(found[2], _TIME).replace(tzinfo=timezone.utc))
