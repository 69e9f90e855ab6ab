"""Events as tables: the nine columns of SPEC D1, ready to be written as CSV."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from spark_apps.generator.blocks import Events, MonthBlocks
from spark_apps.generator.categories import shop
from spark_apps.generator.clock import DAY
from spark_apps.generator.funnel import EVENT_TYPES, VIEW
from spark_apps.generator.hashing import Ints, Purpose, UInts, hashed
from spark_apps.generator.population import user_ids

PRICE_TYPE = pa.decimal128(10, 2)
SCHEMA = pa.schema(
    [
        ("event_time", pa.string()),
        ("event_type", pa.string()),
        ("product_id", pa.int64()),
        ("category_id", pa.int64()),
        ("category_code", pa.string()),
        ("brand", pa.string()),
        ("price", PRICE_TYPE),
        ("user_id", pa.int64()),
        ("user_session", pa.string()),
    ]
)

# Price of a product on one day in hundredths of its usual one, as 4,096 equal chances; 0: no price shown to
# those who look at it that day (the log has prices of 0, though never in a purchase).
_PRICE_OF_DAY = np.repeat(np.array([100, 99, 101, 98, 0], dtype=np.int64), [3499, 200, 200, 196, 1])
_UUID_LENGTH = 36
# Where the 32 hexadecimal digits stand among the 36 characters of a UUID.
_UUID_DIGITS = np.array([i for i in range(_UUID_LENGTH) if i not in (8, 13, 18, 23)])
_HEX = np.frombuffer(b"".join(b"%02x" % i for i in range(256)), dtype=np.uint8).reshape(256, 2)


class TableMaker:
    """Turns events of one month into tables."""

    def __init__(self, month: MonthBlocks) -> None:
        place, products = shop(), month.goods.products
        self._seed, self._month, self._start = month.spec.seed, month.spec.month_number, month.clock.start
        self._cents, self._product_id = products.cents, month.goods.product_id
        self._category = place.category_columns(products.category)
        self._brand = place.brand_column(products.brand)
        self._types = pa.array(EVENT_TYPES)

    def table(self, events: Events) -> pa.Table:
        """The nine columns.

        Args:
            events: any events of the month.

        Returns:
            A table with SCHEMA, row by row the events. category_code and brand are null where missing.
        """
        product = pa.array(events.product)
        columns = {
            "event_time": self._times(events.second),
            "event_type": self._types.take(pa.array(events.type)),
            "product_id": self._product_id[events.product],
            "category_id": self._category["category_id"].take(product),
            "category_code": self._category["category_code"].take(product),
            "brand": self._brand.take(product),
            "price": decimals(self._cents_of_day(events)),
            "user_id": user_ids(self._seed, events.user),
            "user_session": self._session_ids(events.session),
        }
        return pa.table(columns, schema=SCHEMA)

    def _times(self, seconds: npt.NDArray[np.int32]) -> Any:
        moments, which = np.unique(seconds, return_inverse=True)
        stamps = pa.array(moments.astype(np.int64) + self._start).cast(pa.timestamp("s")).cast(pa.string())
        return pc.binary_join_element_wise(stamps, "UTC", " ").take(pa.array(which))

    def _cents_of_day(self, events: Events) -> Ints:
        chance = hashed(self._seed, Purpose.PRICE_OF_DAY, self._month, events.second // DAY, events.product)
        percent = _PRICE_OF_DAY[chance >> np.uint64(52)]
        percent[(percent == 0) & (events.type != VIEW)] = 100
        return np.asarray(self._cents[events.product] * percent // 100, dtype=np.int64)

    def _session_ids(self, sessions: UInts) -> Any:
        distinct, which = np.unique(sessions, return_inverse=True)
        halves = (Purpose.SESSION_ID_HIGH, Purpose.SESSION_ID_LOW)
        keys = np.stack([hashed(self._seed, half, self._month, distinct) for half in halves], axis=1)
        return _uuids(keys).take(pa.array(which))


def decimals(cents: Ints) -> Any:
    """Decimals with two digits from whole cents.

    Args:
        cents: whole numbers from 0.

    Returns:
        An Arrow array of PRICE_TYPE, laid out as Arrow keeps it: 128-bit little-endian numbers.
    """
    words = np.zeros((len(cents), 2), dtype="<i8")
    words[:, 0] = cents
    return pa.Array.from_buffers(PRICE_TYPE, len(cents), [None, pa.py_buffer(words)])


def _uuids(keys: UInts) -> Any:
    """Random (version 4) UUIDs from 128 random bits each."""
    raw = np.ascontiguousarray(keys, dtype=">u8").view(np.uint8).reshape(-1, 16)
    raw[:, 6] = (raw[:, 6] & 0x0F) | 0x40
    raw[:, 8] = (raw[:, 8] & 0x3F) | 0x80
    text = np.full((len(raw), _UUID_LENGTH), ord("-"), dtype=np.uint8)
    text[:, _UUID_DIGITS] = _HEX[raw].reshape(-1, 32)
    offsets = np.arange(0, text.size + 1, _UUID_LENGTH, dtype=np.int32)
    return pa.Array.from_buffers(pa.string(), len(text), [None, pa.py_buffer(offsets), pa.py_buffer(text)])
