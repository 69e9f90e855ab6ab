"""Cleaning, line by line: which lines are usable, what they become, and why the others are not (SPEC D3-D5)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema

from spark_apps.ingestion.cleaning import (
    FUTURE_TIME,
    LATEST,
    LINE,
    REASON,
    REASONS,
    explain,
    parse_lines,
    rejected,
    usable,
)
from spark_apps.schemas import CSV_COLUMNS, EVENTS
from tests.factory import clean_event, csv_line, rows_of

TIME = "2019-10-01 00:00:00 UTC"
TAIL = csv_line().removeprefix(TIME)


def lines_frame(spark: SparkSession, lines: Sequence[str | bytes]) -> DataFrame:
    """Lines as Spark reads them from a file: any bytes but a line feed, numbered."""
    numbered = [(n, bytearray(line.encode() if isinstance(line, str) else line)) for n, line in enumerate(lines)]
    frame = spark.createDataFrame(numbered, "number int, bytes binary")
    return frame.select("number", F.expr("cast(bytes as string)").alias("value"))


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


@pytest.fixture(scope="module")
def reasons(spark: SparkSession) -> dict[int, list[str]]:
    """The reasons given to each case: exactly one is right, and none means that it was usable."""
    lines = lines_frame(spark, [line for line, _ in CASES + SEVERAL])
    found: defaultdict[int, list[str]] = defaultdict(list)
    for row in explain(rejected(parse_lines(lines, ["number"]), ["number"]), ["number"]).collect():
        found[row["number"]].append(row[REASON])
    return found


@pytest.mark.parametrize("number", range(len(CASES + SEVERAL)), ids=lambda n: f"{n} {(CASES + SEVERAL)[n][1]}")
def test_an_unusable_line_gets_its_reason(number: int, reasons: dict[int, list[str]]) -> None:
    assert reasons[number] == [(CASES + SEVERAL)[number][1]]


def test_every_reason_is_tested() -> None:
    assert {*UNUSABLE, FUTURE_TIME} == set(REASONS)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({}, None),
        ({"event_time": "2019-10-01 12:00:01 UTC"}, FUTURE_TIME),
        ({"event_time": "9999-12-31 23:59:59 UTC"}, FUTURE_TIME),
        ({"event_time": "2099-01-01 00:00:00 UTC", "price": "x"}, FUTURE_TIME),
        ({"event_time": "2099-02-30 00:00:00 UTC"}, "bad_time"),
        ({"event_time": "2019-10-01 12:00:00 UTC", "price": "x"}, "bad_price"),
    ],
)
def test_no_event_is_later_than_its_file_allows(
    spark: SparkSession, changed: dict[str, str], reason: str | None
) -> None:
    line = csv_line(**{"event_time": "2019-10-01 12:00:00 UTC", **changed})
    lines = lines_frame(spark, [line]).withColumn(LATEST, F.lit("2019-10-01 12:00:00").cast("timestamp"))
    parsed = parse_lines(lines, [LATEST])
    found = [row[REASON] for row in explain(rejected(parsed, [LATEST]), [LATEST]).collect()]
    assert found == ([reason] if reason else [])
    assert usable(parsed).count() == (0 if reason else 1)


def test_a_rejected_line_is_kept_as_it_stood(spark: SparkSession) -> None:
    lines = ["not a line", 'a,"b', "käse,雪", ""]
    kept = rows_of(explain(rejected(parse_lines(lines_frame(spark, lines)))))
    assert sorted(row[LINE] for row in kept) == sorted(lines)


def test_bytes_that_are_not_text_are_replaced_so_that_every_reader_takes_them(spark: SparkSession) -> None:
    lines = lines_frame(spark, [b"2019-10-01 a\xffb"]).select(F.col("value").alias(LINE))
    assert explain(lines).select(F.encode(LINE, "UTF-8").alias("bytes")).collect()[0]["bytes"] == (
        "2019-10-01 a\ufffdb".encode()
    )


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


@pytest.fixture(scope="module")
def events(spark: SparkSession) -> dict[int, dict[str, Any]]:
    lines = lines_frame(spark, [line for line, _ in USABLE])
    parsed = parse_lines(lines, ["number"]).where("usable").select("number", *EVENTS.names)
    return {row.pop("number"): row for row in rows_of(parsed)}


@pytest.mark.parametrize("number", range(len(USABLE)))
def test_a_usable_line_becomes_its_event(number: int, events: dict[int, dict[str, Any]]) -> None:
    expected = clean_event(**USABLE[number][1])
    for name in ("event_time", "hour_bucket"):
        expected[name] = f"{expected[name]:%Y-%m-%d %H:%M:%S}"
    assert events[number] == expected


def test_the_first_of_october_2019_is_a_tuesday(spark: SparkSession) -> None:
    [row] = rows_of(usable(parse_lines(lines_frame(spark, [csv_line(event_time="2019-10-01 13:45:59 UTC")]))))
    derived = ("hour", "minute", "second", "day", "month", "dayofweek", "hour_bucket")
    assert [row[name] for name in derived] == [13, 45, 59, 1, 10, 3, "2019-10-01 13:00:00"]


def test_usable_events_have_the_table_s_columns_and_types(spark: SparkSession) -> None:
    schema = usable(parse_lines(lines_frame(spark, [csv_line()]))).schema
    assert [(f.name, f.dataType) for f in schema] == [(f.name, f.dataType) for f in from_arrow_schema(EVENTS)]


def test_times_are_utc_whatever_the_zone_of_the_machine(spark: SparkSession) -> None:
    zones = spark._jvm.java.util.TimeZone
    before = zones.getDefault()
    try:
        zones.setDefault(zones.getTimeZone("America/New_York"))
        lines = [csv_line(event_time=f"{day} 01:30:00 UTC") for day in ("2019-10-01", "2019-11-03")]
        parsed = usable(parse_lines(lines_frame(spark, lines)))
        seconds = parsed.select(F.unix_timestamp("event_time").alias("seconds"), "date", "hour")
        found = [(row["seconds"], str(row["date"]), row["hour"]) for row in seconds.orderBy("seconds").collect()]
    finally:
        zones.setDefault(before)
    assert found == [(1569893400, "2019-10-01", 1), (1572744600, "2019-11-03", 1)]


@pytest.mark.parametrize("plan", ["optimizedPlan", "executedPlan"])
def test_each_line_is_parsed_once(plan: str, spark: SparkSession) -> None:
    events = usable(parse_lines(lines_frame(spark, [csv_line()]))).where("price > 1 and user_id > 0")
    text = getattr(events._jdf.queryExecution(), plan)().toString()
    assert text.count("from_csv(") == 1
