"""The sentences and tiles say what the figures say."""

import pytest

from spark_apps.reports.comparison import comparison_sentences
from spark_apps.reports.segments import stability_sentences
from spark_apps.reports.summary import key_figures, summary_findings
from spark_apps.segmentation.description import Segments
from tests.reports.behaviours import BEHAVIOUR


def text_of(data):
    return " ".join(sentence for sentences in summary_findings(data).values() for sentence in sentences)


def test_every_figure_of_the_tiles_is_one_of_the_data(make):
    assert key_figures(make.report()) == {
        "Events": "10,004,210",
        "Users": "712,289",
        "Sessions": "2,178,454",
        "Purchases": "174,965",
        "Viewers who purchase": "11.7%",
        "Carts left, by session": "33.7%",
        "Segments": "5",
        "Users with a list": "700,118",
        "NDCG@10 of hybrid": "0.1312",
    }
    assert pytest.approx(0.117, abs=0.0005) == (70_009 + 12_011) / 701_003
    assert pytest.approx(0.337, abs=0.0005) == 61_005 / 181_003


def test_tiles_without_figures_are_not_there(make):
    data = make.report(analysis=make.counts_only(), segments=None, recommendations=None)
    assert set(key_figures(data)) == {"Events", "Sessions", "Purchases"}
    assert set(key_figures(make.report(analysis=make.no_events(), segments=None, recommendations=None))) == {
        "Events",
        "Users",
    }


def test_events_and_their_shares(make):
    analysis = make.analysis(
        events=1000,
        users=300,
        products=1,
        event_counts={"view": 950, "cart": 40, "purchase": 10},
        events_by_day={"2019-10-01": 1000},
    )
    text = text_of(make.report(analysis=analysis))
    assert "1,000 events by 300 users on 1 product from 2019-10-01 to 2019-10-31, 1 date with events." in text
    assert "By type: 95.0% view, 4.0% cart and 1.0% purchase." in text


def test_nothing_is_divided_by_no_views_or_carts(make, read):
    from spark_apps.reports.activity import type_sentences

    counts = make.typed_analysis(events=1000, event_counts={"view": 950, "cart": 40, "purchase": 10})
    assert type_sentences(counts)[1] == (
        "There are 4.2 carts and 1.1 purchases for every 100 views; 25.0 purchases for every 100 carts."
    )
    assert len(type_sentences(make.typed_analysis(events=5, event_counts={"purchase": 5}))) == 1


def test_who_buys_and_what_is_left_in_carts(make):
    text = text_of(make.report())
    assert (
        "Of 701,003 users who viewed a product, 90,017 (12.8%) also put one into the cart and 82,020 (11.7%) purchased."
        in text
    )
    assert "Of 181,003 sessions with a cart, 61,005 (33.7%) end without a purchase." in text
    assert "The most frequent path with a purchase is view › view › cart › purchase (20,003 sessions, 0.92%)." in text


def test_what_is_in_demand_and_what_goes_together(make):
    text = text_of(make.report())
    assert "category electronics.cover (20 purchases); brand spigen (20 purchases); product 1004900, spigen" in text
    assert "Of sessions that view sport.trainer, 54.1% view sport.bicycle too, 135.3 times as many as chance" in text


def test_demand_goes_by_views_where_nothing_is_purchased(make):
    top = {kind: {**lists, "by_purchases": []} for kind, lists in BEHAVIOUR["top"].items()}
    assert "brand samsung (9,000 views)" in text_of(make.report(analysis=make.analysis(top=top)))


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


def test_the_largest_segment_the_one_that_spends_most_and_the_largest_rfm_group(make):
    clusters = [{**make.cluster(0, "Small"), "users": 30}, {**make.cluster(1, "Big"), "users": 70}]
    profiles = [
        {**make.profile(0, "Small"), "share": 0.3, "revenue_share": 0.8},
        {**make.profile(3, "Big"), "share": 0.7},
    ]
    changes = {"clusters": clusters, "profiles": profiles, "rfm": {"Lost": 60, "Loyal": 40}}
    text = text_of(make.report(segments=make.segments(**changes)))
    assert "100 users fall into 2 segments; the largest is Big with 70 users (70.0%)." in text
    assert "80.0% of what was spent comes from Small, 30.0% of the users." in text
    assert "largest RFM group is Lost with 60 users (60.0%)" in text


def test_segments_that_spend_nothing_are_not_told_to_spend_most(make):
    profiles = [{**make.profile(0, "Small"), "revenue": 0.0, "revenue_share": 0.0}]
    assert "spent" not in text_of(make.report(segments=make.segments(profiles=profiles)))


def test_how_stable_segments_are(make):
    [text] = stability_sentences(make.typed_segments())
    assert "index of 0.93 under other seeds (lowest 0.81) and 0.90 on bootstrap samples (lowest 0.72)" in text
    assert (
        stability_sentences(make.typed_segments(stability=None))
        == stability_sentences(Segments(**make.fit_only()))
        == []
    )


def test_recommendations(make):
    changes = {"users": 200, "users_with_list": 150, "interactions": 3000, "products": 40}
    text = text_of(make.report(recommendations=make.recommendations(**changes)))
    assert "3,000 interactions of 200 users with 40 products; 150 users (75.0%) have a list" in text
    assert "The product in most lists is 1004856 (samsung, electronics.smartphone)" in text


def test_the_best_model_and_its_lead(make):
    assert comparison_sentences(make.typed_recommendations()) == [
        "On held-out events hybrid does best by NDCG@10: 0.1312 (95 % interval 0.1272 to 0.1352); als follows with "
        "0.1123 (95 % interval 0.1083 to 0.1163).",
        "User by user hybrid is ahead of als by 0.0189 (95 % interval 0.0151 to 0.0227), more than chance explains.",
    ]


def test_a_lead_that_may_be_chance_is_told_so(make):
    lead = {"als": {"ndcg": {"value": 0.001, "low": -0.002, "high": 0.004}}}
    assert "which may be chance" in comparison_sentences(make.typed_recommendations(differences=lead))[1]


def test_a_comparison_without_intervals_or_of_nothing(make):
    one = {"als": {"ndcg": {"value": 0.25, "low": None, "high": None}}}
    assert comparison_sentences(make.typed_recommendations(comparison=one)) == [
        "On held-out events als does best by NDCG@10: 0.25."
    ]
    assert comparison_sentences(make.typed_recommendations(comparison={})) == []


def test_parts_that_are_not_there_are_not_told(make):
    data = make.report(analysis=make.counts_only(), segments=None, recommendations=None, balance=[], stream=[])
    text = text_of(data)
    assert "segment" not in text and "recommend" not in text and "quarantine" not in text and "cart " not in text


def test_the_stream_says_which_lists_guessed_best(make):
    text = text_of(make.report())
    assert "The stream's batches 0 to 11 hold 1,164 events, until 2019-11-01 11:30 UTC." in text
    # 30 to 41 hits in each of 12 batches, of 200 trials
    assert "Of 2,400 products put into the cart or purchased, lists made beforehand held: " in text
    assert "kept up to date 17.8%, as trained 12.5% and popularity 4.5%." in text
    assert pytest.approx(0.178, abs=0.0006) == sum(range(30, 42)) / 2400
    assert "live stream" not in text_of(make.report(stream=[])).lower() and "kept up" not in text_of(
        make.report(stream=[])
    )
