"""Hands a model to all tasks, and unpacks it once in each of Spark's Python processes."""

from __future__ import annotations

import pickle
import uuid
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pyspark import Broadcast
from pyspark.sql import SparkSession

Value = TypeVar("Value")

# The last value that this process unpacked, by its key: its next task most often wants the same.
_unpacked: dict[str, Any] = {}


@dataclass(frozen=True)
class Shared(Generic[Value]):
    """A value on its way to the tasks.

    With encryption on, PySpark cannot broadcast NumPy arrays themselves (its stream wants a PickleBuffer's length),
    so the value travels pickled.
    """

    key: str
    packed: Broadcast[bytes]

    def value(self) -> Value:
        """Returns the value; call it in a task."""
        if self.key not in _unpacked:
            _unpacked.clear()
            _unpacked[self.key] = pickle.loads(self.packed.value)
        found: Value = _unpacked[self.key]
        return found

    def destroy(self) -> None:
        """Frees the copies that executors keep; no task may want it any more."""
        self.packed.destroy()


def share(spark: SparkSession, value: Value) -> Shared[Value]:
    """Broadcasts a value.

    Args:
        spark: the session.
        value: can be pickled.
    """
    return Shared(uuid.uuid4().hex, spark.sparkContext.broadcast(pickle.dumps(value)))
