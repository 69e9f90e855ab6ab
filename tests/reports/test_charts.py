"""The figures: what they draw, and that it can be told apart."""

import math
import re
from importlib.resources import files

import pytest

from spark_apps.reports import charts
from spark_apps.reports.figures import BLUE, GREEN, GREY, ORANGE, PINK, PURPLE, label


def labels(chart):
    return list(chart.layout.yaxis.ticktext)


def test_types_stand_on_a_log_scale_with_counts_and_shares_written():
    chart = charts.events_by_type({"cart": 30, "view": 960, "purchase": 10})
    assert chart.layout.xaxis.type == "log"
    assert chart.data[0].x == (960, 30, 10)
    assert labels(chart) == ["view<br>960 (96.0%)", "cart<br>30 (3.0%)", "purchase<br>10 (1.0%)"]
    low, high = chart.layout.xaxis.range
    assert low < 0 < math.log10(960) < high


def test_the_pie_writes_each_share():
    chart = charts.event_shares({"cart": 30, "view": 960, "purchase": 10})
    assert chart.data[0].values == (960, 30, 10)
    assert chart.data[0].labels == ("view: 96.0%", "cart: 3.0%", "purchase: 1.0%")


def test_the_same_type_has_the_same_colour_everywhere():
    counts = {"view": 9, "purchase": 5, "cart": 2}
    prices = {name: {"mean": 2.0, "min": 1.0, "max": 3.0, "count": 1} for name in counts}
    bars = charts.events_by_type(counts).data[0].marker.color
    assert bars == charts.event_shares(counts).data[0].marker.colors
    assert bars == tuple(line.line.color for line in charts.price_by_type(prices).data)
    assert len(set(bars)) == 3


def test_missing_values_leave_full_columns_to_the_table():
    chart = charts.missing_values({"brand": 25, "user_id": 0, "price": 5}, 100)
    assert chart.data[0].x == (25.0, 5.0)
    assert labels(chart) == ["brand<br>25 (25.0%)", "price<br>5 (5.0%)"]


def test_days_in_order_and_hours_complete():
    days = charts.events_by_day({"2019-10-03": 3, "2019-10-01": 1})
    assert days.data[0].x == ("2019-10-01", "2019-10-03") and days.data[0].y == (1, 3)
    assert days.layout.xaxis.range == ("2019-09-30 12:00", "2019-10-03 12:00")
    hours = charts.events_by_hour({"9": 5})
    assert hours.data[0].x == tuple(range(24)) and hours.data[0].y[9] == sum(hours.data[0].y) == 5


def test_price_runs_from_lowest_over_mean_to_highest():
    chart = charts.price_by_type({"view": {"mean": 5.0, "min": 1.0, "max": 9.0, "count": 3}})
    assert chart.data[0].x == (1.0, 5.0, 9.0)
    assert labels(chart) == ["view<br>mean 5.00"]


def test_session_figures_that_are_known(make):
    sessions = {**make.analysis()["sessions"], "events_p25": None}
    chart = charts.session_events(sessions)
    assert chart.data[0].x == (1, 2, 4.59, 5, 1159)
    assert labels(chart)[2] == "Mean<br>4.59"


def test_clean_and_quarantined_stack_up_to_raw(make):
    clean, quarantined, raw = charts.row_balance(make.balance()).data
    assert len(raw.x) == 31 and raw.x == clean.x == quarantined.x
    assert raw.y == tuple(good + bad for good, bad in zip(clean.y, quarantined.y, strict=True))


def test_two_products_that_look_alike_stay_two_bars():
    product = {"category_code": "a.b", "brand": "x"}
    rows = [{**product, "product_id": 1, "users": 9}, {**product, "product_id": 1, "users": 4}]
    chart = charts.top_products(rows, 10)
    assert len(set(chart.data[0].y)) == 2


@pytest.mark.parametrize("draw", [charts.silhouette_curve, charts.cost_curve])
def test_the_k_in_use_is_marked(make, draw):
    chart = draw(make.segments()["curve"], 7)
    assert chart.data[0].marker.symbol[chart.data[0].x.index(7)] == "diamond"
    assert chart.data[0].marker.symbol.count("diamond") == 1
    assert chart.layout.shapes[0].x0 == chart.layout.shapes[0].x1 == 7
    assert chart.layout.annotations[0].text == "in use: k = 7"


def test_a_histogram_stands_on_its_edges():
    chart = charts.recommendation_scores({"bins": [0.0, 1.0, 3.0], "counts": [4, 6]})
    assert chart.data[0].x == (0.5, 2.0) and chart.data[0].width == (1.0, 2.0) and chart.data[0].y == (4, 6)


def test_edges_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="2 counts need 3 bin edges, not 2"):
        charts.recommendation_scores({"bins": [0.0, 1.0], "counts": [4, 6]})


def test_labels_are_short_and_safe():
    assert label("<b>AT&T</b>") == "&lt;b&gt;AT&amp;T&lt;/b&gt;"
    assert label("a\nb") == "a b"
    assert label("x" * 40, 10) == "x" * 9 + "…"
    assert label("&" * 40, 10).count("&amp;") == 9


def test_colours_read_on_light_and_dark_pages():
    css = files("spark_apps.reports").joinpath("style.css").read_text(encoding="utf-8")
    cards = re.findall(r"--card: (#[0-9a-f]{6})", css)
    assert len(cards) == 2
    for colour in (BLUE, ORANGE, GREEN, PURPLE, PINK, GREY):
        assert all(_contrast(colour, card) > 3 for card in cards), colour


def _contrast(one: str, other: str) -> float:
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
