"""The tables of the page hold the figures they were given."""

import pytest

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
    page = read(render_report(make.report(segments=make.segments(clusters=clusters))))
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
    assert column(page.tables["Evaluation on held-out events"]) == make.recommendations()["metrics"]
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


def test_scores(page, make):
    scores = make.recommendations()["scores"]
    rows = page.tables["Scores of the recommendations"][1:]
    assert [number(row[1]) for row in rows] == scores["counts"]
    assert rows[1][0] == "0.05 to 0.1"
