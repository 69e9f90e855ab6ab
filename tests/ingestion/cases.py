"""Lines whose events, or the reasons why they are none, are known."""

from __future__ import annotations

from typing import Any

from spark_apps.schemas import CSV_COLUMNS
from tests.factory import csv_line

TIME = "2019-10-01 00:00:00 UTC"
TAIL = csv_line().removeprefix(TIME)

UNUSABLE: dict[str, list[str | bytes]] = {
    "empty_line": ["", "\r"],
    "bad_encoding": [csv_line().encode().replace(b"samsung", b"\xff\xfe"), b"\xff", b"\xed\xa0\x80"],
    "wrong_columns": [
        " ",
        "garbage",
        "\0",
        csv_line()[:60],
        csv_line() + ",",
        csv_line() + ",more",
        csv_line().replace(",", ";"),
        csv_line().replace(",samsung,", ',"samsung,'),
        "," * 30_000,
        csv_line() + "," * 30_000,
    ],
    "bad_time": [
        csv_line(event_time=time)
        for time in (
            None,
            "NaN",
            "2019-10-01 00:00:00",
            "2019-10-01T00:00:00 UTC",
            "2019-10-01 00:00:00 CET",
            "2019-10-01 00:00:00.5 UTC",
            "2019-02-30 00:00:00 UTC",
            "2019-10-01 24:00:00 UTC",
            "2019-10-01 23:59:60 UTC",
            "0000-01-01 00:00:00 UTC",
            "19-10-01 00:00:00 UTC",
            "15698880000",
            " 2019-10-01 00:00:00 UTC",
            "2019-10-01 00:00:00 UTC\r",
            "2019-10-01 00:00:00 UTC\u2028",
        )
    ]
    + [",,,,,,,,", ",".join(CSV_COLUMNS), "#" + csv_line()],
    "unknown_event_type": [csv_line(event_type=kind) for kind in (None, "NaN", "View", "click", " view")],
    "bad_id": [
        csv_line(**{name: value})
        for name in ("product_id", "user_id")
        for value in (None, "NaN", "x", "5.0", "5e3", " 5", "5 ", "5\0", 2**63, -(2**63) - 1, "0x5")
    ]
    + [csv_line(category_id=value) for value in ("NaN", "x", " 5", "1.5", 2**63)],
    "bad_price": [csv_line(price=value) for value in ("free", "inf", "Inf", "-Inf", "Infinity", "1,5", "1e400", "--1")],
}
CASES = [(line, reason) for reason, lines in UNUSABLE.items() for line in lines]

# of several faults the first in the order of REASONS is given
SEVERAL = [
    (csv_line(event_time="x", event_type="x", user_id="x", price="x"), "bad_time"),
    (csv_line(event_type="x", user_id="x", price="x"), "unknown_event_type"),
    (csv_line(user_id="x", price="x"), "bad_id"),
    (csv_line(category_id='""', price="x").replace('""""""', '""'), "bad_price"),
    (csv_line(event_time="x").encode() + b"\xff", "bad_encoding"),
    (csv_line(event_time="x") + ",", "wrong_columns"),
]

# A usable line, and how its event differs from the default one.
USABLE: list[tuple[str, dict[str, Any]]] = [
    (csv_line(), {}),
    (csv_line() + "\r", {}),
    (f'"{TIME}"{TAIL}', {}),
    (",".join(f'"{value}"' for value in csv_line().split(",")), {}),
    (csv_line(event_time="2019-10-01 23:59:59 UTC"), {"event_time": "2019-10-01 23:59:59"}),
    (csv_line(event_time="2019-11-03 06:30:15 UTC"), {"event_time": "2019-11-03 06:30:15"}),
    (csv_line(event_time="2020-02-29 01:02:03 UTC"), {"event_time": "2020-02-29 01:02:03"}),
    (csv_line(event_time="2038-01-20 03:14:08 UTC"), {"event_time": "2038-01-20 03:14:08"}),
    (csv_line(event_time="1500-01-01 00:00:00 UTC"), {"event_time": "1500-01-01 00:00:00"}),
    *[(csv_line(event_type=kind), {"event_type": kind}) for kind in ("cart", "purchase", "remove_from_cart")],
    (csv_line(category_code=None, brand=None), {"category_code": None, "brand": None}),
    (csv_line(category_code="NaN", brand="NaN"), {"category_code": None, "brand": None}),
    (csv_line().replace("samsung", '""'), {"brand": None}),
    (csv_line(user_session=None), {"user_session": None}),
    (csv_line(user_session="NaN"), {"user_session": None}),
    (csv_line()[:-20], {"user_session": csv_line()[-36:-20]}),
    (csv_line(category_id=None), {"category_id": None}),
    (csv_line(product_id=2**63 - 1, user_id=-(2**63)), {"product_id": 2**63 - 1, "user_id": -(2**63)}),
    (csv_line(product_id=0, user_id=0), {"product_id": 0, "user_id": 0}),
    *[(csv_line(price=value), {"price": None}) for value in (None, "NaN", "0", "0.00", "-0.0", "-3.5", "1e-400")],
    *[(csv_line(price=text), {"price": float(text)}) for text in ("0.01", "1e3", "2574.07", ".5", "5.")],
    (csv_line(brand="a, b"), {"brand": "a, b"}),
    (csv_line(brand='12" "pro", x'), {"brand": '12" "pro", x'}),
    (csv_line(brand='"'), {"brand": '"'}),
    (csv_line(brand="a\\"), {"brand": "a\\"}),
    (csv_line(brand=" käse 雪 "), {"brand": " käse 雪 "}),
    (csv_line(brand="#1"), {"brand": "#1"}),
    (csv_line(brand="x" * 100_000), {"brand": "x" * 100_000}),
]
