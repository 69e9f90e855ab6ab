"""Reads a page as a browser would find it."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import Any


class Page(HTMLParser):
    """What a browser would find on the page: tags, tables, scripts, text, and the captions of each chart's tables."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.scripts: list[str] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self._rows: list[list[str]] = []
        self._caption = ""
        self.contents: list[str] = []  # headings, charts and tables in reading order, a line each
        self.charts: dict[str, list[str]] = {}
        self._chart = ""
        self.facts: dict[str, str] = {}
        self._fact = ""
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
        if tag == "figure":
            self._chart = ""
        if dict(attrs).get("class") == "chart":
            self._chart = dict(attrs)["id"] or ""
            self.contents.append(f"chart: {self._chart}")
            self.charts[self._chart] = []
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
            self.contents.append(f"table: {self._caption}")
            if self._chart and "details" in self._open and "figure" in self._open:
                self.charts[self._chart].append(self._caption)

    def handle_data(self, data: str) -> None:
        if "script" in self._open:
            self.scripts[-1] += data
            return
        if "style" not in self._open:
            self.words.append(data)
        if self._open[-1:] in (["h2"], ["h3"]):
            self.contents.append(f"heading: {data}")
        if self._open[-1:] == ["dt"]:
            self._fact = data
        if self._open[-1:] == ["dd"]:
            self.facts.setdefault(self._fact, data)  # a name's first tile is that of the summary
        if "caption" in self._open:
            self._caption += data
        elif self._open[-1:] in (["th"], ["td"]):
            self._rows[-1][-1] += data
