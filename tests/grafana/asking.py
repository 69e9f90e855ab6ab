"""Asks a real Grafana what its dashboards would show, and what its alert rules say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import requests

# what a pixel is worth in a panel half a screen wide
_MOST_POINTS = 800
# windows that a browser asks for, seconds
_WINDOWS = (10, 15, 20, 30, 60, 120, 300, 600, 900, 1_200, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400)


@dataclass(frozen=True)
class Question:
    """One query of a dashboard: a panel's, a variable's or an annotation's."""

    dashboard: str
    name: str
    target: dict[str, Any]
    interval: str = "10s"
    most_points: int = _MOST_POINTS

    def __str__(self) -> str:
        return f"{self.dashboard}: {self.name}"


@dataclass
class Grafana:
    """A Grafana server, as its admin sees it."""

    url: str
    password: str
    session: requests.Session = field(default_factory=requests.Session)

    def __post_init__(self) -> None:
        self.session.trust_env = False
        self.session.auth = ("admin", self.password)

    def get(self, path: str, **parameters: str) -> Any:
        """Returns the JSON of an answer that must be good."""
        answer = self.session.get(f"{self.url}{path}", params=parameters, timeout=30)
        assert answer.ok, f"{path}: {answer.status_code} {answer.text[:500]}"
        return answer.json()

    def dashboards(self) -> list[dict[str, Any]]:
        """Returns the provisioned dashboards as Grafana holds them."""
        found = self.get("/api/search", type="dash-db", tag="shopstream")
        return [self.get(f"/api/dashboards/uid/{one['uid']}")["dashboard"] for one in found]

    def ask(self, question: Question, start: datetime | str, stop: datetime | str) -> tuple[int, str]:
        """Asks one question the way a browser does.

        Returns:
            The number of rows of all frames, and what went wrong, if anything.
        """
        frames, fault = self.frames(question, start, stop)
        return sum(len(columns[0]) for columns in frames if columns), fault

    def frames(self, question: Question, start: datetime | str, stop: datetime | str) -> tuple[list[Any], str]:
        """Asks the same.

        Returns:
            The columns of each frame, and what went wrong, if anything.
        """
        frames, fault = self._ask(question, start, stop)
        return [frame["data"]["values"] for frame in frames], fault

    def rows(self, question: Question, start: datetime | str, stop: datetime | str) -> tuple[list[dict[str, Any]], str]:
        """Asks the same.

        Returns:
            The rows of all frames, by the names of their columns, and what went wrong, if anything.
        """
        frames, fault = self._ask(question, start, stop)
        found = []
        for frame in frames:
            names = [column["name"] for column in frame["schema"]["fields"]]
            found += [dict(zip(names, row, strict=True)) for row in zip(*frame["data"]["values"], strict=True)]
        return found, fault

    def _ask(self, question: Question, start: datetime | str, stop: datetime | str) -> tuple[list[Any], str]:
        query = {
            **question.target,
            "query": with_variables(question.target["query"]),
            "refId": "A",
            "intervalMs": interval_ms(question, start, stop),
            "maxDataPoints": question.most_points,
        }
        body = {"queries": [query], "from": _moment(start), "to": _moment(stop)}
        answer = self.session.post(f"{self.url}/api/ds/query", json=body, timeout=60)
        result = answer.json().get("results", {}).get("A", {})
        if not answer.ok or "error" in result:
            return [], str(result.get("error") or answer.text)[:600]
        return list(result.get("frames", [])), ""

    def rules(self) -> dict[str, str]:
        """Returns the state of each alert rule: inactive, pending or firing."""
        groups = self.get("/api/prometheus/grafana/api/v1/rules")["data"]["groups"]
        return {rule["name"]: rule["state"] for group in groups for rule in group["rules"]}

    def health(self) -> dict[str, str]:
        """Returns whether each rule could be evaluated: ok, nodata, error, unknown."""
        groups = self.get("/api/prometheus/grafana/api/v1/rules")["data"]["groups"]
        return {rule["name"]: rule["health"] for group in groups for rule in group["rules"]}


def questions(dashboard: dict[str, Any]) -> Iterator[Question]:
    """Gives every query that a dashboard has."""
    uid = dashboard["uid"]
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            most = panel.get("maxDataPoints", _MOST_POINTS)
            yield Question(uid, panel["title"], target, panel.get("interval", "10s"), most)
    for variable in dashboard.get("templating", {}).get("list", []):
        target = {"datasource": variable["datasource"], "query": variable["query"]}
        yield Question(uid, f"variable {variable['name']}", target)
    for annotation in dashboard.get("annotations", {}).get("list", []):
        if "query" in annotation.get("target", {}):  # Grafana adds one of its own
            yield Question(uid, f"annotation {annotation['name']}", annotation["target"])


def with_variables(flux: str) -> str:
    """Puts in what a browser puts in for variables of which all values are chosen."""
    before, _, rest = flux.partition("${")
    while rest:
        _, _, after = rest.partition("}")
        flux = f"{before}.*{after}"
        before, _, rest = flux.partition("${")
    return flux


def interval_ms(question: Question, start: datetime | str, stop: datetime | str) -> int:
    """Returns the width of a window: a pixel's, rounded as a browser does, but no less than a panel wants."""
    least = int(question.interval[:-1]) * {"s": 1, "m": 60}[question.interval[-1]] * 1000
    if isinstance(start, str) or isinstance(stop, str):
        return least
    pixel = (stop - start).total_seconds() / question.most_points
    return max(least, min(_WINDOWS, key=lambda window: abs(window - pixel)) * 1000)


def _moment(moment: datetime | str) -> str:
    return moment if isinstance(moment, str) else str(round(moment.timestamp() * 1000))
