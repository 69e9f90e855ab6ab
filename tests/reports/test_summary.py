"""The sentences say what the figures say."""

from spark_apps.reports.summary import summary_sentences


def text_of(data):
    return " ".join(summary_sentences(data))


def test_events_and_their_shares(make):
    analysis = make.analysis(
        events=1000,
        event_counts={"view": 950, "cart": 40, "purchase": 10},
        events_by_day={"2019-10-01": 1000},
    )
    text = text_of(make.report(analysis=analysis))
    assert "1,000 events from 2019-10-01 to 2019-10-31, 1 date with events" in text
    assert "95.0% view, 4.0% cart and 1.0% purchase" in text
    assert "4.2 carts and 1.1 purchases for every 100 views; 25.0 purchases for every 100 carts" in text


def test_nothing_is_divided_by_no_views_or_carts(make):
    text = text_of(make.report(analysis=make.analysis(events=5, event_counts={"purchase": 5})))
    assert "for every" not in text


def test_the_busiest_hour_and_date_follow_the_counts(make):
    analysis = make.analysis(
        events=100,
        events_by_hour={"0": 10, "10": 20, "9": 20},
        events_by_day={"2019-10-05": 60, "2019-10-04": 40},
    )
    text = text_of(make.report(analysis=analysis))
    assert "09:00 to 09:59 UTC with 20 events (20.0%)" in text
    assert "busiest date is 2019-10-05 with 60 events (60.0%)" in text


def test_missing_values_and_duplicates(make):
    analysis = make.analysis(events=200, missing_values={"brand": 50, "price": 0, "a": 4}, duplicates=2)
    text = text_of(make.report(analysis=analysis))
    assert "Most often missing: brand (25.0% of events) and a (2.0% of events)." in text
    assert "repeat another row exactly: 2 (1.0%)" in text
    full = text_of(make.report(analysis=make.analysis(missing_values={"price": 0}, duplicates=0)))
    assert "missing" not in full and "repeat" not in full


def test_rows_are_added_up(make):
    balance = [
        {"date": "2019-10-01", "raw": 10, "clean": 7, "quarantined": {"bad_time": 1, "bad_id": 2}},
        {"date": None, "raw": 10, "clean": 9, "quarantined": {"bad_time": 1}},
    ]
    text = text_of(make.report(balance=balance))
    assert "Of 20 raw rows, 16 are clean and 4 (20.0%) are in quarantine, most often as bad_id." in text
    assert "On every date, raw rows = clean rows + quarantined rows." in text


def test_the_largest_segment_and_rfm_group(make):
    clusters = [{**make.cluster(0, "Small"), "users": 30}, {**make.cluster(1, "Big"), "users": 70}]
    text = text_of(make.report(segments=make.segments(clusters=clusters, rfm={"Lost": 60, "Loyal": 40})))
    assert "100 users fall into 2 segments; the largest is Big with 70 users (70.0%)." in text
    assert "largest RFM group is Lost with 60 users (60.0%)" in text


def test_recommendations(make):
    changes = {"users": 200, "users_with_list": 150, "interactions": 3000, "products": 40}
    text = text_of(make.report(recommendations=make.recommendations(**changes)))
    assert "3,000 interactions of 200 users with 40 products; 150 users (75.0%) have a list" in text
    assert "The product in most lists is 1004856 (samsung, electronics.smartphone)" in text


def test_parts_that_are_not_there_are_not_told(make):
    text = text_of(make.report(segments=None, recommendations=None, balance=[]))
    assert "segment" not in text and "recommend" not in text and "quarantine" not in text
