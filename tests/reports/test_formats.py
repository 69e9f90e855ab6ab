"""How figures are written."""

import ast
import math
import sys
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_apps.reports.formats import counted, dates, decimal, figure, joined, measure_name, moment, share, whole


@pytest.mark.parametrize(
    ("part", "total", "text"),
    [
        (0, 10, "0%"),
        (10, 10, "100%"),
        (1, 3, "33.3%"),
        (2, 42_448_764, "<0.01%"),
        (999_999, 1_000_000, ">99.9%"),
        (5, 1000, "0.50%"),
        (30, 10, "300.0%"),
        (1, 0, "–"),
    ],
)
def test_share_never_rounds_something_to_nothing_or_all(part, total, text):
    assert share(part, total) == text


def test_counts_and_decimals():
    assert whole(1234567) == "1,234,567"
    assert whole(None) == decimal(None) == figure(float("inf")) == "–"
    assert decimal(1234.5) == "1,234.50"
    assert (figure(2.0), figure(11.92), figure(0.00001234)) == ("2", "11.92", "1.23e-05")
    assert figure(1234.56789) == "1,234.5679"


def test_measures_have_names_for_people():
    assert [measure_name(name) for name in ("ndcg_sampled", "hit_rate_sampled", "map")] == [
        "NDCG, sampled",
        "HR, sampled",
        "MAP",
    ]
    assert [measure_name(name, 10) for name in ("ndcg", "hit_rate_sampled", "catalogue_coverage", "rmse")] == [
        "NDCG@10",
        "HR@10, sampled",
        "catalogue coverage",
        "RMSE",
    ]


def test_the_dates_of_a_log():
    assert dates("2019-10-01", "2019-10-31") == "2019-10-01 to 2019-10-31"
    assert (dates("2019-10-01", "2019-10-01"), dates("", "")) == ("2019-10-01", "no dates")


def test_words():
    assert (counted(1, "event"), counted(2000, "event")) == ("1 event", "2,000 events")
    assert (joined([]), joined(["a"]), joined(["a", "b", "c"])) == ("", "a", "a, b and c")


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("2024-05-06T07:08:09Z", "2024-05-06 07:08 UTC"),
        ("2024-05-06T07:08:09+02:00", "2024-05-06 05:08 UTC"),
        ("2024-05-06T07:08:09", "2024-05-06 07:08 UTC"),
        ("yesterday", "yesterday"),
    ],
)
def test_times_are_utc(text, written):
    assert moment(text) == written


def test_the_room_draws_what_other_rooms_found_and_computes_nothing_with_them():
    allowed = {*sys.stdlib_module_names, "plotly", "jinja2", "pydantic"}
    dates_that_count = ("spark_apps.features.reference", "reference_of")  # pure Python, for the axis of dates
    modules = sorted(Path(str(files("spark_apps.reports"))).rglob("*.py"))
    assert len(modules) > 15
    for module in modules:
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            names = [(alias.name, "") for alias in node.names] if isinstance(node, ast.Import) else []
            names += (
                [(node.module or "", alias.name) for alias in node.names] if isinstance(node, ast.ImportFrom) else []
            )
            for source, name in names:
                own = source.split(".")[0] in allowed or source.startswith("spark_apps.reports")
                assert own or name[:1].isupper() or (source, name) == dates_that_count, (module.name, source, name)


@given(st.none() | st.floats() | st.sampled_from((-0.0, -1e-9, -0.004, 1e-320, 1e300)), st.integers(0, 4))
def test_no_figure_is_nan_infinite_or_minus_nothing(value: float | None, digits: int) -> None:
    for text in (decimal(value, digits), figure(value)):
        assert not {"nan", "inf", "None"} & set(text.split())
        assert text.strip("-0.,") or not text.startswith("-")
    if value is None or not math.isfinite(value):
        assert decimal(value, digits) == figure(value) == "–"


@given(st.floats(0, 1e18), st.just(0.0) | st.floats(1e-6, 1e18))
def test_every_share_is_a_percentage_or_a_dash(part: float, total: float) -> None:
    text = share(part, total)
    assert text == "–" if not total else text.endswith("%") and "inf" not in text and "nan" not in text
