"""A month of figures as the jobs would count them."""

from __future__ import annotations

import math
from typing import Any

from spark_apps.analysis.document import Analysis
from spark_apps.reports.data import Recommendations, ReportData
from spark_apps.segmentation.description import Segments
from spark_apps.streaming.records import Relevance
from spark_apps.streaming.timeline import Stretch, timeline
from tests.reports.behaviours import BEHAVIOUR, NOTHING
from tests.reports.lists import COMPARISON, LISTS
from tests.telemetry.records import record

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
            "segments": self.segments(),
            "recommendations": self.recommendations(),
            "stream": self.stream(),
        }
        balance = changes.pop("balance", self.balance())
        whole |= changes
        whole["analysis"] = {"balance": balance, **whole["analysis"]}
        return ReportData(**whole)

    def typed_analysis(self, **changes: Any) -> Analysis:
        return Analysis(**{"balance": self.balance(), **self.analysis(**changes)})

    def typed_segments(self, **changes: Any) -> Segments:
        return Segments(**self.segments(**changes))

    def typed_recommendations(self, **changes: Any) -> Recommendations:
        return Recommendations(**self.recommendations(**changes))

    def stream(self, stretches: int = 4, each: int = 3) -> list[Stretch]:
        records = [
            record(batch, relevance=self._guesses(batch), change_rate=0.02 * batch % 0.15, known_users=20)
            for batch in range(stretches * each)
        ]
        return list(timeline(records, len(records), stretches))

    def _guesses(self, batch: int) -> dict[str, Relevance]:
        hits = {"updated": 30 + batch, "static": 25, "popularity": 9}
        return {name: Relevance(trials=200, hits=found, reciprocal_ranks=found / 2) for name, found in hits.items()}

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
            "users": 712_289,
            "products": 98_412,
            **BEHAVIOUR,
        }
        return {**analysis, **changes}

    def counts_only(self) -> dict[str, Any]:
        """What analyses held before they told what users do."""
        return {name: value for name, value in self.analysis().items() if name not in (*BEHAVIOUR, "users", "products")}

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
            users=0,
            products=0,
            **NOTHING,
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
            "behaviours": {"Buyer": 40_000, "Window shopper": 208_160},
            "cross_table": {
                group: {name: 10 * (row + place) for place, name in enumerate(names)} for row, group in enumerate(RFM)
            },
            "profiles": [self.profile(number, name) for number, name in enumerate(names)],
            "affinities": [
                {
                    "segment": name,
                    "categories": [{"value": "electronics.smartphone", "share": 0.41, "lift": 1.31, "users": 912}],
                    "brands": [{"value": "apple", "share": 0.2, "lift": 1.4, "users": 301}],
                }
                for name in names
            ],
            "stability": {
                "users": 20_000,
                "repeats": 5,
                "other_seed": {"mean": 0.93, "lowest": 0.81},
                "bootstrap": {"mean": 0.9, "lowest": 0.72},
            },
        }
        return {**segments, **changes}

    def profile(self, number: int, name: str) -> dict[str, Any]:
        return {
            "segment": name,
            "users": 4_512 * (number + 1) ** 2,
            "share": (number + 1) ** 2 / 55,
            "revenue": 1000.5 * (5 - number),
            "revenue_share": (5 - number) / 15,
            "features": {"recency": {"unit": "days", "mean": 2.0 + number, "median": 1.5 + number}},
        }

    def fit_only(self) -> dict[str, Any]:
        """What models held before they told what segments are like."""
        return {
            name: self.segments()[name]
            for name in ("k", "seed", "iterations", "cost", "silhouette", "clusters", "curve", "rfm")
        }

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
            "parameters": {"als": "implicit", "rank": 50, "iterations": 15},
            "users": 712_289,
            "products": 98_412,
            "interactions": 5_120_447,
            "users_with_list": 700_118,
            "metrics": METRICS,
            **LISTS,
            **COMPARISON,
        }
        return {**recommendations, **changes}
