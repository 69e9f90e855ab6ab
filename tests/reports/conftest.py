"""A month of figures as the jobs would count them, and a reader of the page made from them."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest

from spark_apps.reports.data import ReportData
from spark_apps.reports.page import render_report

TYPES = {"view": 9_606_771, "cart": 218_264, "purchase": 174_965, "remove_from_cart": 4_210}
COLUMNS = {
    "event_time": 0,
    "event_type": 0,
    "product_id": 0,
    "category_id": 0,
    "category_code": 3_184_020,
    "brand": 1_438_211,
    "price": 15_017,
    "user_id": 0,
    "user_session": 2,
}
SESSIONS = {
    "count": 2_178_454,
    "events_mean": 4.59,
    "events_std": 6.77,
    "events_min": 1,
    "events_p25": 1,
    "events_p50": 2,
    "events_p75": 5,
    "events_max": 1159,
    "minutes_mean": 17.37,
    "minutes_median": 1.05,
}
SEGMENTS = ("VIP_Customers", "Loyal_Customers", "Active_Buyers", "Dormant_Users", "Casual_Browsers")
RFM = (
    "Hibernating",
    "Champions",
    "Loyal",
    "Potential Loyalists",
    "New Customers",
    "Need Attention",
    "About To Sleep",
    "At Risk",
    "Cannot Lose Them",
    "Lost",
)
METRICS = {"rmse": 1.2345, "hr@10": 0.7312, "ndcg@10": 0.4821, "catalogue_coverage": 0.3127, "novelty": 11.92}
PRODUCTS = (
    ("electronics.smartphone", "samsung"),
    ("electronics.smartphone", "apple"),
    ("electronics.audio.headphone", "xiaomi"),
    (None, None),
    ("appliances.kitchen.refrigerators", "lucente"),
)


class Factory:
    """Makes parts of a report; what a test is about is given by name."""

    def report(self, **changes: Any) -> ReportData:
        whole: dict[str, Any] = {
            "title": "October 2019",
            "source": "events.csv",
            "synthetic": False,
            "made_at": "2024-05-06T07:08:09+00:00",
            "code_version": "1.2.3",
            "first_date": "2019-10-01",
            "last_date": "2019-10-31",
            "analysis": self.analysis(),
            "balance": self.balance(),
            "segments": self.segments(),
            "recommendations": self.recommendations(),
        }
        return replace(ReportData(**whole), **changes)

    def analysis(self, **changes: Any) -> dict[str, Any]:
        wave = [1 - 0.8 * math.cos((hour - 3) / 24 * 2 * math.pi) for hour in range(24)]
        analysis: dict[str, Any] = {
            "events": sum(TYPES.values()),
            "duplicates": 7_112,
            "event_counts": TYPES,
            "missing_values": COLUMNS,
            "events_by_day": {
                f"2019-10-{day:02d}": round(320_000 * (1 + 0.15 * math.sin(day))) for day in range(1, 32)
            },
            "events_by_hour": {str(hour): round(400_000 * height) for hour, height in enumerate(wave)},
            "price_by_event_type": {
                "view": {"mean": 288.98, "min": 0.77, "max": 2574.07, "count": 9_592_011},
                "cart": {"mean": 333.83, "min": 0.88, "max": 2574.04, "count": 218_260},
                "purchase": {"mean": 309.56, "min": 0.79, "max": 2573.99, "count": 174_961},
                "remove_from_cart": {"mean": 41.5, "min": 1.25, "max": 899.0, "count": 4_209},
            },
            "sessions": SESSIONS,
        }
        return {**analysis, **changes}

    def no_events(self) -> dict[str, Any]:
        return self.analysis(
            events=0,
            duplicates=0,
            event_counts={},
            missing_values={},
            events_by_day={},
            events_by_hour={},
            price_by_event_type={},
            sessions={**dict.fromkeys(SESSIONS), "count": 0},
        )

    def balance(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        for day, clean in self.analysis()["events_by_day"].items():
            bad = {"bad_time": 11, "bad_price": 310 + clean % 97, "unknown_event_type": 42}
            rows.append({"date": day, "raw": clean + sum(bad.values()), "clean": clean, "quarantined": bad})
        return [{"date": None, "raw": 19, "clean": 0, "quarantined": {"wrong_columns": 19}}, *rows]

    def segments(self, names: tuple[str, ...] = SEGMENTS, **changes: Any) -> dict[str, Any]:
        segments: dict[str, Any] = {
            "k": 5,
            "seed": 42,
            "iterations": 17,
            "cost": 1_284_551.25,
            "silhouette": 0.5312,
            "clusters": [self.cluster(number, name) for number, name in enumerate(names)],
            "curve": [
                {"k": k, "silhouette": 0.53 - 0.02 * abs(k - 5), "cost": 5e6 / k + 284_551.25} for k in range(2, 11)
            ],
            "rfm": {name: 120_000 // (place + 1) for place, name in enumerate(RFM)},
        }
        return {**segments, **changes}

    def cluster(self, number: int, name: str, **means: float | None) -> dict[str, Any]:
        usual = {
            "recency": 2.1 + 6.2 * number,
            "frequency": 14.3 / (1 + number),
            "monetary": 1834.77 / (1 + number * number),
            "conversion_rate": 0.0913 / (1 + number),
            "cart_abandonment": 0.09 * number,
            "unique_products": 81.4 / (1 + number),
            "unique_categories": 12.6 / (1 + number),
            "avg_price": 612.5 / (1 + number),
        }
        return {
            "cluster": number,
            "name": name,
            "users": 4_512 * (number + 1) ** 2,
            "means": {**usual, **means},
        }

    def recommendations(self, **changes: Any) -> dict[str, Any]:
        recommendations: dict[str, Any] = {
            "engine": "als",
            "rank": 50,
            "iterations": 15,
            "users": 712_289,
            "products": 98_412,
            "interactions": 5_120_447,
            "users_with_list": 700_118,
            "metrics": METRICS,
            "top_products": [
                {
                    "product_id": 1_004_856 + place,
                    "users": 90_211 // (place + 1),
                    "category_code": code,
                    "brand": brand,
                }
                for place, (code, brand) in enumerate(PRODUCTS)
            ],
            "scores": {
                "bins": [round(0.05 * edge, 2) for edge in range(21)],
                "counts": [round(900_000 * math.exp(-((edge - 12) ** 2) / 30)) for edge in range(20)],
            },
        }
        return {**recommendations, **changes}


class Page(HTMLParser):
    """What a browser would find on the page: tags, tables, scripts and text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.scripts: list[str] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self._rows: list[list[str]] = []
        self._caption = ""
        self.feed(html)
        self.close()

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    @property
    def figures(self) -> dict[str, Any]:
        """The drawings by the id of their place."""
        data = next(script for script, tag in zip(self.scripts, self.all("script"), strict=True) if "id" in tag)
        return dict(json.loads(data))

    def all(self, *names: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag in names]

    def section(self, place: str) -> list[str]:
        """The ids of the charts under one heading."""
        ids = [attributes.get("id") or "" for tag, attributes in self.tags if tag in ("section", "div")]
        after = ids[ids.index(place) + 1 :]
        ends = [number for number, name in enumerate(after) if name and not name.startswith("chart-")]
        return [name for name in after[: ends[0] if ends else None] if name]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "br", "link", "img", "input"):
            self._open.append(tag)
        if tag == "table":
            self._rows, self._caption = [], ""
        if tag == "tr":
            self._rows.append([])
        if tag in ("th", "td"):
            self._rows[-1].append("")
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, f"{tag} is closed where another tag is open"
        if tag == "table":
            self.tables[self._caption] = self._rows

    def handle_data(self, data: str) -> None:
        if "script" in self._open:
            self.scripts[-1] += data
            return
        if "style" not in self._open:
            self.words.append(data)
        if "caption" in self._open:
            self._caption += data
        elif self._open[-1:] in (["th"], ["td"]):
            self._rows[-1][-1] += data


@pytest.fixture(scope="session")
def make() -> Factory:
    return Factory()


@pytest.fixture(scope="session")
def read() -> type[Page]:
    return Page


@pytest.fixture(scope="session")
def html(make: Factory) -> str:
    return render_report(make.report())


@pytest.fixture(scope="session")
def page(html: str) -> Page:
    return Page(html)
