"""Broadcasts a value to all of Spark's tasks, and unpickles it once in each Python process."""

from __future__ import annotations

import pickle
import uuid
from dataclasses import dataclass
from typing import Any

from pyspark import Broadcast
from pyspark.sql import SparkSession

from spark_apps.engine.base import Shared, Value

# What this process unpacked last of what one call hands to its tasks, and of what is kept for several calls, with its
# key: the next task most often wants the same.
_unpacked: dict[bool, tuple[str, Any]] = {}


@dataclass(frozen=True)
class BroadcastValue(Shared[Value]):
    """A value on its way to the tasks.

    With encryption on, PySpark cannot broadcast NumPy arrays themselves (its stream wants a PickleBuffer's length),
    so the value travels pickled.
    """

    key: str
    packed: Broadcast[bytes]
    is_kept: bool

    def value(self) -> Value:
        """See Shared."""
        if _unpacked.get(self.is_kept, ("", None))[0] != self.key:
            _unpacked.pop(self.is_kept, None)  # room before the other one comes
            _unpacked[self.is_kept] = self.key, pickle.loads(self.packed.value)
        found: Value = _unpacked[self.is_kept][1]
        return found

    def release(self) -> None:
        """See Shared: executors keep copies until then."""
        self.packed.destroy()


def broadcast(spark: SparkSession, value: Value, is_kept: bool = False) -> BroadcastValue[Value]:
    """Broadcasts a value.

    Args:
        spark: the session.
        value: can be pickled.
        is_kept: whether it is for several calls of the engine.
    """
    return BroadcastValue(uuid.uuid4().hex, spark.sparkContext.broadcast(pickle.dumps(value)), is_kept)
