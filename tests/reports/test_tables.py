"""The tables of the page hold the figures they were given."""

import pytest

from spark_apps.reports.formats import measure_name
from spark_apps.reports.page import render_report


def number(cell: str) -> float:
    return float(cell.replace(",", "").rstrip("%"))


def column(table: list[list[str]], place: int = 1) -> dict[str, float]:
    return {row[0]: number(row[place]) for row in table[1:]}


@pytest.mark.parametrize(("caption", "key"), [("Events by type", "event_counts"), ("Events by day", "events_by_day")])
def test_counts(page, make, caption, key):
    assert column(page.tables[caption]) == make.analysis()[key]


def test_event_shares_are_of_all_events(page):
    shares = {row[0]: row[2] for row in page.tables["Events by type"]}
    assert shares["view"] == "96.0%" and shares["remove_from_cart"] == "0.04%"


def test_missing_values_with_the_worst_first(page, make):
    table = page.tables["Missing values by column"]
    assert column(table) == make.analysis()["missing_values"]
    assert [row[0] for row in table[1:3]] == ["category_code", "brand"]
    assert table[1][2] == "31.8%"


def test_hours_stand_in_order_and_absent_ones_are_zero(make, read):
    analysis = make.analysis(events_by_hour={"7": 3, "15": 9, "2": 1})
    table = read(render_report(make.report(analysis=analysis))).tables["Events by hour of the day"]
    assert [row[0] for row in table[1:]] == [f"{hour:02d}:00" for hour in range(24)]
    assert {name: count for name, count in column(table).items() if count} == {
        "02:00": 1,
        "07:00": 3,
        "15:00": 9,
    }


def test_prices(page, make):
    table = page.tables["Price by event type, in the currency of the log"]
    for row in table[1:]:
        price = make.analysis()["price_by_event_type"][row[0]]
        assert [number(cell) for cell in row[1:]] == [
            price["mean"],
            price["min"],
            price["max"],
            price["count"],
        ]


def test_sessions(page, make):
    values = [number(row[2]) for row in page.tables["Sessions"][1:]]
    assert values == list(make.analysis()["sessions"].values())
    assert {row[1] for row in page.tables["Sessions"][1:]} == {"count", "events per session", "minutes"}


def test_row_balance_has_every_reason_and_undated_rows_last(page, make):
    head, *rows = page.tables["Rows by date: raw, clean and quarantined by reason"]
    reasons = ["bad_price", "bad_time", "unknown_event_type", "wrong_columns"]
    assert head[3:-1] == [f"{reason} (rows)" for reason in reasons]
    assert rows[-1] == ["no date", "19", "0", "0", "0", "0", "19", "yes"]
    given = {row["date"] or "no date": row for row in make.balance()}
    for row in rows:
        expected = given[row[0]]
        quarantined = [expected["quarantined"].get(reason, 0) for reason in reasons]
        assert [number(cell) for cell in row[1:-1]] == [expected["raw"], expected["clean"], *quarantined]


def test_a_date_that_does_not_balance_is_shown(make, read):
    balance = make.balance()
    balance[5]["raw"] += 1
    page = read(render_report(make.report(balance=balance)))
    table = page.tables["Rows by date: raw, clean and quarantined by reason"]
    assert [row[0] for row in table[1:] if row[-1] == "no"] == [balance[5]["date"]]
    assert f"Rows are not accounted for on {balance[5]['date']}" in page.text
    assert "On every date" not in page.text
    assert [tag for tag in page.all("p") if tag.get("class") == "warning"]


def test_segment_means_one_segment_a_column(page, make):
    head, *rows = page.tables["Means of each segment; deeper tint = higher within the row"]
    clusters = make.segments()["clusters"]
    assert head[1:] == [cluster["name"] for cluster in clusters]
    assert [number(cell) for cell in rows[0][1:]] == [cluster["users"] for cluster in clusters]
    names = list(clusters[0]["means"])
    assert len(rows) == 2 + len(names)
    for name, row in zip(names, rows[2:], strict=True):
        given = [cluster["means"][name] for cluster in clusters]
        assert [number(cell) for cell in row[1:]] == pytest.approx(given, abs=0.051, rel=0.01), name


def test_the_tint_follows_the_means(make, read):
    clusters = [make.cluster(number, f"s{number}", recency=days) for number, days in enumerate((10, 0, 2, None))]
    segments = {**make.fit_only(), "clusters": clusters}
    page = read(render_report(make.report(segments=segments)))
    tints = [tag["style"] for tag in page.all("td") if tag.get("class") == "tinted"]
    assert tints[:2] == ["--tint:1.00", "--tint:0.20"]


def test_fit_marks_the_k_in_use(page, make):
    rows = page.tables["Fit by number of segments"][1:]
    assert [row[0] for row in rows] == ["2", "3", "4", "5, in use", "6", "7", "8", "9", "10"]
    for row, point in zip(rows, make.segments()["curve"], strict=True):
        assert number(row[1]) == pytest.approx(point["silhouette"])
        assert number(row[2]) == pytest.approx(point["cost"], abs=0.051)


def test_rfm(page, make):
    assert column(page.tables["Users by RFM group"]) == make.segments()["rfm"]


def test_metrics_and_how_to_read_them(page, make):
    assert column(page.tables["Figures kept with the model"]) == {
        measure_name(name): value for name, value in make.recommendations()["metrics"].items()
    }
    assert "RMSE: typical error" in page.text and "NDCG: how near" in page.text
    assert "Recall:" not in page.text


def test_top_products(page, make):
    rows = page.tables["Products recommended to most users"][1:]
    for row, product in zip(rows, make.recommendations()["top_products"], strict=True):
        assert row[:3] == [
            str(product["product_id"]),
            product["brand"] or "unknown",
            product["category_code"] or "unknown",
        ]
        assert number(row[3]) == product["users"]
    assert rows[0][4] == "12.9%"


def test_funnel_and_abandonment(page, make):
    funnel = make.analysis()["funnel"]
    rows = page.tables["Funnel (counts and rates)"][1:]
    assert [row[0] for row in rows] == ["users", "sessions", "user and product"]
    for row, steps in zip(rows, funnel.values(), strict=True):
        assert [number(cell) for cell in row[1:5]] == [
            steps[name] for name in ("viewed", "carted", "purchased", "purchased_without_cart")
        ]
        rates = [steps[name] for name in ("view_to_cart", "cart_to_purchase", "view_to_purchase")]
        assert [number(cell) / 100 for cell in row[5:]] == pytest.approx(rates, abs=0.0006)
    carts = page.tables["Carts without a purchase"][2]
    assert carts == ["sessions", "181,003", "61,005", "33.7%"]


def test_visits_paths_pairs_and_top_lists(page, make):
    visits = page.tables["Users by their number of sessions; below, figures over all users"]
    assert visits[1] == ["1", "300,000", "42.1%"] and visits[-1] == ["maximum", "411", ""]
    assert page.tables["Most frequent paths"][3] == ["view › view › cart › purchase", "20,003", "0.92%"]
    assert page.tables["Products viewed in one session"][1] == [
        "1004900, spigen, electronics.cover",
        "1004856, samsung, electronics.smartphone",
        "812",
        "0.08%",
        "54.1%",
        "135.30",
    ]
    assert page.tables["Top products by views"][1] == [
        "1004856",
        "samsung",
        "electronics.smartphone",
        "9,000",
        "17",
        "10",
        "995.00",
    ]
    assert page.tables["Top brands by purchases"][1] == ["spigen", "4,000", "27", "20", "1,990.00"]


def test_segments_meet_rfm_groups(page, make):
    crossed = make.segments()["cross_table"]
    head, *rows = page.tables["Users by RFM group and segment (count); deeper tint = more within the row"]
    assert head == ["RFM group", *make.segments()["cross_table"]["Champions"], "All"]
    for row, (group, users) in zip(rows, crossed.items(), strict=False):
        assert row[0] == group and [number(cell) for cell in row[1:]] == [*users.values(), sum(users.values())]
    assert rows[-1][0] == "All" and number(rows[-1][-1]) == sum(sum(users.values()) for users in crossed.values())


def test_profiles_and_likings_of_segments(page):
    head, *rows = page.tables["Profile of each segment; deeper tint = higher within the row"]
    assert head[1] == "VIP_Customers"
    assert [row[1] for row in rows] == ["4,512", "1.8%", "5,002.50", "33.3%", "1.50"]
    likings = page.tables["What each segment likes more than all users do"]
    assert likings[1] == ["VIP_Customers", "category", "electronics.smartphone", "41.0%", "1.31", "912"]


def test_models_are_compared_by_every_measure(page):
    head, *rows = page.tables[
        "Models by all measures (in brackets: 95 % interval); deeper tint = higher within the row"
    ]
    assert head == ["Measure", "popularity", "als", "hybrid"]
    assert [row[0] for row in rows] == ["NDCG@10, whole catalogue", "HR@10, sampled", "catalogue coverage"]
    assert [row[3].replace("\N{NO-BREAK SPACE}", " ") for row in rows] == [
        "0.1312 (0.127 to 0.135)",
        "0.8411 (0.821 to 0.861)",
        "0.25",
    ]
    assert page.tables["Models by NDCG@10"][3] == ["hybrid", "0.1312", "0.1272", "0.1352"]


def test_sources_prices_and_names_of_what_is_recommended(page):
    assert page.tables["What proposed the recommendations"][2][-1] == "no"
    assert page.tables["Score against price"][1] == ["70 to 100", "1,000,180", "0.3100", "0.1100", "0.6100"]
    assert page.tables["Score against price"][3][2:] == ["–", "–", "–"]
    assert page.tables["Recommendations by brand"][1] == ["samsung", "900,000", "12.9%", "0.3000"]
    assert column(page.tables["Mean score per user"]) == {
        "0 to 0.25": 300_118,
        "0.25 to 0.5": 300_000,
        "0.5 to 1": 100_000,
    }
    assert "Scores by popularity (1,180 recommendations) are on another scale" in page.text
    assert "28.6% of the recommendations have no known category." in page.text


def test_scores(page, make):
    scores = make.recommendations()["scores"]
    rows = page.tables["Scores of the recommendations"][1:]
    assert [number(row[1]) for row in rows] == scores["counts"]
    assert rows[1][0] == "0.05 to 0.1"


def test_hits_of_the_stream_add_up_in_the_last_row(page):
    head, *rows, last = page.tables["Hits of the lists"]
    assert head[0] == "Batches" and [row[0] for row in rows] == ["0 to 2", "3 to 5", "6 to 8", "9 to 11"]
    assert last == ["all", "426 of 2,400", "17.8%", "300 of 2,400", "12.5%", "108 of 2,400", "4.5%"]
    assert sum(number(row[1].split()[0]) for row in rows) == 426
