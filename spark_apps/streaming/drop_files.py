"""Where the replay drops its files, and what their names say."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timezone

STREAM = "temp/stream"
INCOMING = f"{STREAM}/incoming"
# the one file that the stream is at work on, and beside it what it was called
TAKEN = f"{STREAM}/taken"
DONE = f"{STREAM}/done"
REFUSED = f"{STREAM}/refused"
# of the Structured Streaming query, on a cluster: both are made anew at each start
CHECKPOINT = f"{STREAM}/checkpoint"
TRIGGERS = f"{STREAM}/triggers"
REPLAY = f"{STREAM}/replay"
REPLAY_STATE = f"{REPLAY}/replay.json"
# one file a drop, named like the hash of the drop's bytes, which a new name for the drop does not change
PROVENANCE = f"{STREAM}/provenance"

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


def provenance_path(sha256: str) -> str:
    """Returns the path below the root of the note of what a drop was cut from (see spark_apps/provenance.py).

    Args:
        sha256: of the drop's bytes.
    """
    return f"{PROVENANCE}/{sha256}.json"
