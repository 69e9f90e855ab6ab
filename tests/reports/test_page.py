"""The page as a browser gets it."""

import base64
import hashlib
import pickle
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from plotly.offline import get_plotlyjs

from spark_apps.reports.layout import Chart
from spark_apps.reports.page import render_report
from spark_apps.reports.tuning import tuning_parts
from tests.reports.behaviours import BEHAVIOUR
from tests.reports.lists import LISTS

HOSTILE = '</script><script>alert("x")</script><img src=x onerror=alert(1)>'


def test_nothing_is_loaded_from_elsewhere(html, page):
    loaders = {"link", "img", "iframe", "object", "embed", "base", "source", "video", "audio"}
    assert not [tag for tag, _ in page.tags if tag in loaders]
    assert all("src" not in script for script in page.all("script"))
    assert {link["href"][0] for link in page.all("a")} == {"#"}
    own = html.replace(get_plotlyjs(), "")
    assert not re.search(r"https?:|//cdn|@import|url\(", own)


def test_the_policy_allows_these_scripts_and_no_network(page):
    policy = page.all("meta")[1]["content"]
    assert "default-src 'none'" in policy
    run = [script for script, tag in zip(page.scripts, page.all("script"), strict=True) if "type" not in tag]
    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in run]
    assert re.findall(r"'sha256-([^']+)'", policy) == digests
    assert "script-src 'unsafe" not in policy and "unsafe-eval" not in policy


def test_plotly_is_there_once(html, page):
    assert page.scripts.count(get_plotlyjs()) == 1
    assert html.count("* plotly.js v") == 1


def test_nothing_that_readers_know_is_lost(page):
    known = Path(__file__).with_name("contents.txt").read_text(encoding="utf-8").splitlines()
    assert len(known) > 100
    assert [line for line in page.contents if line in known] == known


def test_every_chart_has_one_place_and_a_name(page):
    places = [tag for tag in page.all("div") if tag.get("class") == "chart"]
    assert {place["id"] for place in places} == set(page.figures)
    assert all(place["role"] == "img" and len(place["aria-label"]) > 20 for place in places)
    ids = [tag["id"] for _, tag in page.tags if "id" in tag]
    assert len(ids) == len(set(ids))


def test_every_chart_has_its_table_folded_under_it(page):
    assert len(page.charts) == len(page.figures)
    for place, tables in page.charts.items():
        assert tables, place
        assert all(len(page.tables[caption]) > 1 for caption in tables), place


def test_every_chart_holds_data_and_names_its_axes(page):
    for place, figure in page.figures.items():
        assert figure["data"], place
        if figure["data"][0]["type"] != "pie":
            assert all(figure["layout"][axis]["title"]["text"] for axis in ("xaxis", "yaxis")), place


def test_contents_lead_to_every_section(page):
    sections = [tag["id"] for tag in page.all("section")]
    links = [tag["href"] for tag in page.all("a") if tag.get("class") != "skip"]
    assert links == [f"#{section}" for section in sections]
    assert sections == [
        "summary",
        "data-quality",
        "activity",
        "behaviour",
        "segments",
        "recommendations",
        "live-stream",
        "notes",
    ]


def test_headings_stand_in_order(page):
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[:2] == [1, 2] and levels.count(1) == 1 and levels.count(2) == 8
    assert all(deeper <= before + 1 for before, deeper in pairwise(levels))
    assert page.all("html")[0]["lang"] == "en"


def test_tables_name_themselves_and_their_heads(page):
    assert len(page.all("table")) == len(page.all("caption")) == len(page.tables)
    assert {tag["scope"] for tag in page.all("th")} == {"col", "row"}
    for caption, (head, *rows) in page.tables.items():
        assert caption
        assert all(head)
        assert all(len(row) == len(head) for row in rows), caption


def test_same_data_same_bytes_in_another_process(make, html):
    code = (
        "import hashlib, pickle, sys; from spark_apps.reports.page import render_report;"
        "page = render_report(pickle.load(sys.stdin.buffer)).encode();"
        "print(hashlib.sha256(page).hexdigest())"
    )
    other = subprocess.run(
        [sys.executable, "-c", code],
        input=pickle.dumps(make.report()),
        capture_output=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path), "PYTHONHASHSEED": "7"},
    )
    assert other.stdout.decode().strip() == hashlib.sha256(html.encode()).hexdigest()


@pytest.mark.parametrize("synthetic", [True, False])
def test_synthetic_events_are_called_so_before_the_first_figure(make, read, synthetic):
    text = read(render_report(make.report(synthetic=synthetic))).text
    assert ("synthetic" in text.lower()) is synthetic
    if synthetic:
        assert text.index("Synthetic events.") < text.index("10,004,210")


@pytest.mark.parametrize(
    ("part", "empty", "command", "section"),
    [
        ("segments", None, "shopstream segment", "segments"),
        ("recommendations", None, "shopstream train", "recommendations"),
        ("stream", [], "shopstream simulate --stream", "live-stream"),
    ],
)
def test_a_part_that_is_not_there_says_the_command(make, read, page, part, empty, command, section):
    without = read(render_report(make.report(**{part: empty})))
    assert f"Run {command} , then" in without.text
    assert page.section(section) and not without.section(section)
    assert f"Run {command} , then" not in page.text


def test_without_a_balance_the_page_says_the_command(make, read, page):
    without = read(render_report(make.report(balance=[])))
    assert "Run shopstream clean , then" in without.text
    assert "chart-row-balance" in page.figures and "chart-row-balance" not in without.figures


def test_older_analyses_and_models_make_a_page_too(make, read):
    recommendations = make.recommendations()
    for name in ("comparison", "judged", "differences", "conditions"):
        del recommendations[name]
    changes = {"analysis": make.counts_only(), "segments": make.fit_only(), "recommendations": recommendations}
    older = read(render_report(make.report(**changes)))
    assert "Run shopstream analyze , then" in older.text
    assert not older.section("behaviour") and older.section("segments") and older.section("recommendations")
    assert not [caption for caption in older.tables if "RFM group and segment" in caption or "Profile" in caption]


def test_the_page_is_of_a_reasonable_size(html):
    assert len(html.encode()) - len(get_plotlyjs().encode()) < 400_000


def test_no_text_from_the_data_becomes_markup(make, read, page):
    names = {"product_id": 1, "brand": HOSTILE, "category_code": HOSTILE}
    hostile_rule = {**BEHAVIOUR["affinities"]["viewed_products"]["rules"][0], "a": names, "b": names}
    hostile_item = {**BEHAVIOUR["top"]["products"]["by_views"][0], **names}
    data = make.report(
        title=HOSTILE,
        source=HOSTILE,
        code_version=HOSTILE,
        made_at=HOSTILE,
        analysis=make.analysis(
            event_counts={HOSTILE: 5, "view": 7},
            missing_values={HOSTILE: 3},
            price_by_event_type={HOSTILE: {"mean": 2.0, "min": 1.0, "max": 3.0, "count": 5}},
            sequences={**BEHAVIOUR["sequences"], "top": [{"sequence": HOSTILE, "sessions": 3, "share": 0.5}]},
            affinities={"viewed_products": {**BEHAVIOUR["affinities"]["viewed_products"], "rules": [hostile_rule]}},
            top={kind: {"by_views": [hostile_item]} for kind in BEHAVIOUR["top"]},
        ),
        balance=[{"date": None, "raw": 4, "clean": 0, "quarantined": {HOSTILE: 4}}],
        segments=make.segments(names=(HOSTILE,), rfm={HOSTILE: 3}),
        recommendations=make.recommendations(
            parameters={"als": HOSTILE},
            metrics={HOSTILE: 0.5},
            comparison={HOSTILE: {HOSTILE: {"value": 0.5, "low": 0.4, "high": 0.6}}},
            sources=[{**LISTS["sources"][0], "source": HOSTILE, "compared": False}],
            categories=[{"name": HOSTILE, "recommendations": 3, "mean_score": 0.5}],
            brands=[{"name": HOSTILE, "recommendations": 3, "mean_score": 0.5}],
            top_products=[{"product_id": 1, "users": 3, "category_code": HOSTILE, "brand": HOSTILE}],
        ),
    )
    html = render_report(data)
    hostile = read(html)
    assert "alert" in hostile.text
    assert "<img" not in html.replace(get_plotlyjs(), "")
    assert len(hostile.scripts) == len(page.scripts) == 3
    assert not [tag for tag, attributes in hostile.tags if "onerror" in attributes]
    assert not any(letter in hostile.scripts[0] for letter in "<>&")
    # Plotly reads a little HTML too, so its texts are escaped as well; only line breaks of ours are left.
    for figure in hostile.figures.values():
        assert "<img" not in str(figure) and "<script" not in str(figure) and "</script" not in str(figure)


def test_a_log_without_events_still_makes_a_page(make, read):
    page = read(render_report(make.report(analysis=make.no_events())))
    assert "There are no events." in page.text
    assert "No event names a session." in page.text
    assert not page.section("activity") and not page.section("behaviour")
    assert "nan" not in page.text.lower().split() and "None" not in page.text


def test_figures_that_are_not_known_show_a_dash(make, read):
    analysis = make.analysis(
        price_by_event_type={
            "view": {"mean": 5.0, "min": 1.0, "max": 9.0, "count": 3},
            "cart": {"mean": None, "min": None, "max": None, "count": 0},
            "purchase": {"mean": float("nan"), "min": float("nan"), "max": float("nan"), "count": 0},
        }
    )
    segments = make.segments(silhouette=None, cost=float("nan"), curve=[{"k": 5, "silhouette": None, "cost": None}])
    segments["clusters"][0]["means"]["avg_price"] = None
    nothing = {"als": {"ndcg": {"value": None, "low": None, "high": None}}}
    recommendations = make.recommendations(metrics={"rmse": None}, comparison=nothing)
    data = make.report(analysis=analysis, segments=segments, recommendations=recommendations)
    page = read(render_report(data))
    prices = page.tables["Price by event type, in the currency of the log"]
    assert prices[2] == ["cart", "–", "–", "–", "0"]
    assert prices[3] == ["purchase", "–", "–", "–", "0"]
    assert len(page.figures["chart-prices"]["data"]) == 1
    assert page.tables["Fit by number of segments"][1] == ["5, in use", "–", "–"]
    assert page.tables["Figures kept with the model"][1] == ["RMSE", "–"]


def test_the_trials_of_a_tuning_are_charted_and_listed_the_best_first(make):
    weights = {"affinity": 0.5, "content": 0.0, "popularity": 0.1, "segment": 0.1}
    tried = [
        {
            "trial": n,
            "rank": 50 + n,
            "iterations": 15,
            "regularization": 0.1,
            "alpha": 1.0,
            "blend": weights,
            "ndcg": ndcg,
        }
        for n, ndcg in enumerate((0.15, 0.18, 0.12))
    ]
    tuning = {"best": tried[1], "trials": tried, "given_ndcg": 0.16, "users": 2000, "seed": 42}
    recommendations = make.typed_recommendations(tuning=tuning)
    parts = tuning_parts(recommendations)
    (chart,) = [part for part in parts if isinstance(part, Chart)]
    assert [list(data.y) for data in chart.figure.data] == [[0.15, 0.12], [0.18], [0.16, 0.16]]
    assert chart.table.index("0.18") < chart.table.index("0.15") < chart.table.index("0.12")
    assert "3 sets of parameters were tried on the last product of 2,000 users: trial 1 was taken" in str(parts[1])
    assert tuning_parts(make.typed_recommendations()) == []
