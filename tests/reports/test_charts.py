"""The figures: what they draw, and that it can be told apart."""

import math
import re
from dataclasses import replace
from importlib.resources import files

import pytest

from spark_apps.analysis.behaviour import Behaviour
from spark_apps.analysis.exploration import PriceSummary, SessionSummary
from spark_apps.analysis.funnels import Abandonment
from spark_apps.analysis.recommended import Histogram, PriceHistogram, RecommendedProduct
from spark_apps.analysis.sequences import Path
from spark_apps.reports import activity, behaviour, comparison, quality, recommendations, segments, stream
from spark_apps.reports.figures import BLUE, GREEN, GREY, ORANGE, PINK, PURPLE, category_label, label
from tests.reports.behaviours import BEHAVIOUR
from tests.reports.lists import LISTS

FOUND = Behaviour(**BEHAVIOUR)


def labels(chart):
    return list(chart.layout.yaxis.ticktext)


def test_types_stand_on_a_log_scale_with_counts_and_shares_written():
    chart = activity.events_by_type({"cart": 30, "view": 960, "purchase": 10})
    assert chart.layout.xaxis.type == "log"
    assert chart.data[0].x == (960, 30, 10)
    assert labels(chart) == ["view<br>960 (96.0%)", "cart<br>30 (3.0%)", "purchase<br>10 (1.0%)"]
    low, high = chart.layout.xaxis.range
    assert low < 0 < math.log10(960) < high


def test_the_pie_writes_each_share():
    chart = activity.event_shares({"cart": 30, "view": 960, "purchase": 10})
    assert chart.data[0].values == (960, 30, 10)
    assert chart.data[0].labels == ("view: 96.0%", "cart: 3.0%", "purchase: 1.0%")


def test_the_same_type_has_the_same_colour_everywhere():
    counts = {"view": 9, "purchase": 5, "cart": 2}
    prices = {name: PriceSummary(mean=2.0, min=1.0, max=3.0, count=1) for name in counts}
    bars = activity.events_by_type(counts).data[0].marker.color
    assert bars == activity.event_shares(counts).data[0].marker.colors
    assert bars == tuple(line.line.color for line in activity.price_by_type(prices).data)
    assert len(set(bars)) == 3


def test_missing_values_leave_full_columns_to_the_table():
    chart = quality.missing_values({"brand": 25, "user_id": 0, "price": 5}, 100)
    assert chart.data[0].x == (25.0, 5.0)
    assert labels(chart) == ["brand<br>25 (25.0%)", "price<br>5 (5.0%)"]


def test_days_in_order_and_hours_complete():
    days = activity.events_by_day({"2019-10-03": 3, "2019-10-01": 1})
    assert days.data[0].x == ("2019-10-01", "2019-10-03") and days.data[0].y == (1, 3)
    assert days.layout.xaxis.range == ("2019-09-30 12:00", "2019-10-03 12:00")
    strays = {"0001-01-01": 1, "1970-01-01": 1, **{f"2019-10-{day:02}": 100 for day in range(1, 32)}, "2099-01-01": 1}
    days = activity.events_by_day(strays)
    assert days.data[0].x == tuple(strays)
    assert days.layout.xaxis.range == ("2019-09-30 12:00", "2019-10-31 12:00")
    assert activity.events_by_day({"0001-01-01": 5}).layout.xaxis.range == ("0001-01-01 12:00", "0001-01-01 12:00")
    hours = activity.events_by_hour({"9": 5})
    assert hours.data[0].x == tuple(range(24)) and hours.data[0].y[9] == sum(hours.data[0].y) == 5


def test_weeks_stand_below_each_other_with_the_numbers_of_their_table(page, make):
    calendar = page.figures["chart-events-by-weekday"]["data"][0]
    head, *rows = page.tables["Events by week and day of the week"]
    assert head == ["Week from (Monday)", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun", "All"]
    assert (
        calendar["y"]
        == [row[0] for row in rows]
        == [f"2019-{day}" for day in ("09-30", "10-07", "10-14", "10-21", "10-28")]
    )
    counts = make.analysis()["events_by_day"]
    assert calendar["z"][0] == [None, *(counts[f"2019-10-0{day}"] for day in range(1, 7))]
    written = [[None if cell == "–" else int(cell.replace(",", "")) for cell in row[1:-1]] for row in rows]
    assert calendar["z"] == written
    assert sum(int(row[-1].replace(",", "")) for row in rows) == sum(counts.values())


def test_the_first_and_the_last_date_that_there_can_be_have_their_week():
    calendar = activity.events_by_weekday({"0001-01-01": 1, "9999-12-31": 2}).data[0]
    assert calendar.y == ("0001-01-01", "9999-12-27")
    assert [list(row) for row in calendar.z] == [[1] + [None] * 6, [None] * 4 + [2, None, None]]


def test_price_runs_from_lowest_over_mean_to_highest():
    chart = activity.price_by_type({"view": PriceSummary(mean=5.0, min=1.0, max=9.0, count=3)})
    assert chart.data[0].x == (1.0, 5.0, 9.0)
    assert labels(chart) == ["view<br>mean 5.00"]


def test_session_figures_that_are_known(make):
    chart = activity.session_events(SessionSummary(**{**make.analysis()["sessions"], "events_p25": None}))
    assert chart.data[0].x == (1, 2, 4.59, 5, 1159)
    assert labels(chart)[2] == "Mean<br>4.59"


def test_clean_and_quarantined_stack_up_to_raw(make):
    clean, quarantined, raw = quality.row_balance(make.typed_analysis().balance).data
    assert len(raw.x) == 31 and raw.x == clean.x == quarantined.x
    assert raw.y == tuple(good + bad for good, bad in zip(clean.y, quarantined.y, strict=True))


def test_two_products_that_look_alike_stay_two_bars():
    product = {"category_code": "a.b", "brand": "x"}
    rows = [RecommendedProduct(product_id=1, users=users, **product) for users in (9, 4)]
    chart = recommendations.top_products(rows, 10)
    assert len(set(chart.data[0].y)) == 2


@pytest.mark.parametrize("draw", [segments.silhouette_curve, segments.cost_curve])
def test_the_k_in_use_is_marked(make, draw):
    chart = draw(make.typed_segments().curve, 7)
    assert chart.data[0].marker.symbol[chart.data[0].x.index(7)] == "diamond"
    assert chart.data[0].marker.symbol.count("diamond") == 1
    assert chart.layout.shapes[0].x0 == chart.layout.shapes[0].x1 == 7
    assert chart.layout.annotations[0].text == "in use: k = 7"


def test_a_histogram_stands_on_its_edges():
    chart = recommendations.score_histogram(Histogram(bins=[0.0, 1.0, 3.0], counts=[4, 6]), "Scores", "users")
    assert chart.data[0].x == (0.5, 2.0) and chart.data[0].width == (1.0, 2.0) and chart.data[0].y == (4, 6)


def test_edges_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="2 counts need 3 bin edges, not 2"):
        recommendations.score_histogram(Histogram(bins=[0.0, 1.0], counts=[4, 6]), "Scores", "users")


def test_the_funnel_has_three_bars_for_each_unit_with_shares_of_those_who_viewed():
    chart = behaviour.conversion(FOUND.funnel)
    assert chart.data[0].x[:3] == (701_003, 90_017, 70_009) and len(chart.data[0].x) == 9
    assert labels(chart)[1] == "Users: and cart<br>90,017 (12.8%)"
    assert chart.layout.xaxis.type == "log"


def test_abandonment_leaves_out_units_without_carts():
    some = Abandonment(with_cart=4, without_purchase=1, rate=0.25)
    chart = behaviour.abandonment({"sessions": some, "users": Abandonment(with_cart=0, without_purchase=0, rate=None)})
    assert chart.data[0].x == (25.0,)
    assert labels(chart) == ["Sessions<br>25.0% of 4"]


def test_bands_of_visits_keep_their_order():
    chart = behaviour.visit_frequency(FOUND.visit_frequency["sessions_per_user"], "sessions")
    assert chart.data[0].x == ("1", "2", "6-10", "51+")
    assert chart.layout.xaxis.type == "category"


def test_long_paths_wrap_and_very_long_ones_are_cut():
    steps = ">".join(["view", "cart"] * 4 + ["..."])
    rows = [Path(sequence=path, sessions=2, share=0.5) for path in ("view>cart>purchase>view>remove_from_cart", steps)]
    first, second = labels(behaviour.paths(rows, "Paths"))
    assert first == "view›cart›purchase›view<br>›remove<br>2 (50.0%)"
    assert second == "view›cart›view›cart›view<br>›cart›view›cart›...<br>2 (50.0%)"


def test_pairs_are_named_by_both_items():
    chart = behaviour.rules(FOUND.affinities["viewed_products"].rules, "Pairs")
    assert labels(chart)[0] == "spigen 1004900<br>+ samsung 1004856<br>lift 135.3"
    assert chart.data[0].x == (135.3, 20.5)


def test_top_items_show_the_measure_they_are_ranked_by():
    chart = behaviour.top_items(FOUND.top["brands"]["by_views"], "Top brands", "brand", "views")
    assert chart.data[0].x == (9_000, 4_000) and labels(chart) == ["samsung<br>9,000", "spigen<br>4,000"]


def test_price_bins_are_named_by_their_edges():
    chart = recommendations.price_histogram(PriceHistogram(**LISTS["prices"]))
    assert chart.data[0].y == (1_000_180, 4_000_000, 2_000_000)
    named = dict(zip(chart.layout.xaxis.tickvals, chart.layout.xaxis.ticktext, strict=True))
    assert named == {-0.5: "70", 0.5: "100", 1.5: "150", 2.5: "200"}


def test_score_against_price_draws_mean_and_percentiles_where_they_are_known():
    points = recommendations.score_by_price(PriceHistogram(**LISTS["prices"])).data[0]
    assert (points.x, points.y) == ((0, 1), (0.31, 0.42))
    assert points.error_y.array == pytest.approx((0.3, 0.3))
    assert points.error_y.arrayminus == pytest.approx((0.2, 0.3))


def test_mean_scores_stand_the_highest_first_and_most_recommended_by_number(make):
    chart = recommendations.mean_scores(make.typed_recommendations().categories, "category")
    assert labels(chart) == ["kitchen refrigerators<br>0.31", "electronics smartphone<br>0.3"]
    chart = recommendations.top_named(make.typed_recommendations().brands, "brand", LISTS["recommendations"])
    assert labels(chart) == ["samsung<br>900,000 (12.9%)", "apple<br>450,000 (6.4%)"]
    assert chart.layout.title.text == "Most recommended brands"


def test_models_stand_the_best_first_on_their_intervals(make):
    compared = make.typed_recommendations().comparison
    chart = comparison.model_comparison(compared, "ndcg", "NDCG@10")
    assert labels(chart) == ["hybrid<br>0.1312", "als<br>0.1123", "popularity<br>0.0241"]
    assert chart.data[0].x == pytest.approx((0.1272, 0.1312, 0.1352))
    without = comparison.model_comparison(compared, "catalogue_coverage", "coverage")
    assert without.data[0].x == (0.25, 0.25, 0.25)


def test_segments_show_their_part_in_users_and_spend(make):
    chart = segments.revenue_by_segment(make.typed_segments().profiles)
    assert [bars.name for bars in chart.data] == ["users", "spend"]
    assert chart.data[1].x == pytest.approx([100 * part / 15 for part in (5, 4, 3, 2, 1)])


def test_categories_are_named_by_their_last_parts():
    assert category_label("appliances.kitchen.washer") == "kitchen washer"
    assert category_label("shoes") == "shoes"


def test_labels_are_short_and_safe():
    assert label("<b>AT&T</b>") == "&lt;b&gt;AT&amp;T&lt;/b&gt;"
    assert label("a\nb") == "a b"
    assert label("x" * 40, 10) == "x" * 9 + "…"
    assert label("&" * 40, 10).count("&amp;") == 9


def test_colours_read_on_light_and_dark_pages():
    css = files("spark_apps.reports").joinpath("style.css").read_text(encoding="utf-8")
    cards = re.findall(r"--card: (#[0-9a-f]{6})", css)
    assert set(cards) == {"#ffffff", "#1a2028"}
    for colour in (BLUE, ORANGE, GREEN, PURPLE, PINK, GREY):
        assert all(_contrast(colour, card) > 3 for card in cards), colour


def _contrast(one: str, other: str) -> float:
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_hit_rates_of_the_stream_are_one_line_for_each_recommender(make):
    drawn = {line.name: line for line in stream.hit_rates(make.stream(stretches=2, each=2)).data}
    assert list(drawn) == ["Kept up to date", "As trained", "Popularity"]
    assert drawn["Kept up to date"].x == (1, 3)
    assert drawn["Kept up to date"].y == pytest.approx((100 * 61 / 400, 100 * 65 / 400))
    assert drawn["Popularity"].y == pytest.approx((4.5, 4.5))


def test_a_recommender_that_was_asked_for_nothing_has_no_points(make):
    quiet = [replace(one, guesses={}) for one in make.stream()]
    assert not any(line.x for line in stream.hit_rates(quiet).data)


def test_moves_and_times_of_the_stream_stand_beside_what_is_wanted(make):
    stretches = make.stream(stretches=4, each=3)
    moves, times = stream.segment_changes(stretches), stream.batch_times(stretches)
    assert moves.data[0].y == pytest.approx([100 * one.change_rate for one in stretches])
    assert [(line.y[0], line.x) for line in (moves.data[-1], times.data[-1])] == [(15, (2, 11)), (5, (2, 11))]
    assert times.data[1].y == (3.0, 3.0, 3.0, 3.0)
