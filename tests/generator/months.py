"""Synthetic months small enough for a test, in columns of numpy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spark_apps.generator import GeneratorSpec, event_batches


@dataclass(frozen=True)
class Sample:
    """A month's events in columns of numpy; `session` and the others are numbers that stand for values."""

    table: pa.Table
    second: np.ndarray[Any, np.dtype[np.int64]]
    type: np.ndarray[Any, Any]
    product: np.ndarray[Any, np.dtype[np.int64]]
    category: np.ndarray[Any, np.dtype[np.int64]]
    price: np.ndarray[Any, np.dtype[np.float64]]
    user: np.ndarray[Any, np.dtype[np.int64]]
    session: np.ndarray[Any, np.dtype[np.int64]]

    def column(self, name: str) -> Any:
        return self.table[name].combine_chunks()

    @property
    def in_sessions(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Rows session by session, in time order inside each."""
        return np.argsort(self.session, kind="stable")


def make_sample(spec: GeneratorSpec) -> Sample:
    table = pa.concat_tables(event_batches(spec)).combine_chunks()
    times = table["event_time"].combine_chunks()
    stamps = pc.utf8_slice_codeunits(times, 0, 19).cast(pa.timestamp("s"))
    return Sample(
        table=table,
        second=stamps.to_numpy().astype("datetime64[s]").astype(np.int64),
        type=table["event_type"].to_numpy(),
        product=table["product_id"].to_numpy(),
        category=table["category_id"].to_numpy(),
        price=table["price"].cast(pa.float64()).to_numpy(),
        user=table["user_id"].to_numpy(),
        session=table["user_session"].combine_chunks().dictionary_encode().indices.to_numpy().astype(np.int64),
    )
