"""Puts the page together: one HTML text that needs neither a network nor other files."""

from __future__ import annotations

import base64
import hashlib
import json
from html import escape
from importlib.resources import files
from itertools import groupby

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from spark_apps.reports import activity, behaviour, notes, quality, recommendations, segments, stream, summary
from spark_apps.reports.data import ReportData
from spark_apps.reports.formats import dates, moment
from spark_apps.reports.layout import Chart, Section, folded, note

_SYNTHETIC = (
    '<p class="synthetic" role="note"><strong>Synthetic events.</strong> '
    "A generator made the events in this report; they tell nothing about a real shop.</p>\n"
)
_NO_SCRIPT = "<noscript><p>The charts need JavaScript; the tables hold the same figures.</p></noscript>\n"
# In reading order; every one is there, also where its data is missing.
CHAPTERS = (
    summary.chapter,
    quality.chapter,
    activity.chapter,
    behaviour.chapter,
    segments.chapter,
    recommendations.chapter,
    stream.chapter,
    notes.chapter,
)
# Escapes that keep JSON from ending the script element it stands in.
_JSON_ESCAPES = {
    ord("<"): "\\u003c",
    ord(">"): "\\u003e",
    ord("&"): "\\u0026",
    0x2028: "\\u2028",
    0x2029: "\\u2029",
}


def render_report(data: ReportData) -> str:
    """Writes the report as one HTML page.

    Args:
        data: what the report shows.

    Returns:
        The page, the same text for the same data. Text from the data is escaped, and a content security
        policy lets the browser run this page's own scripts only and load nothing.

    Raises:
        ValueError: when a histogram's edges do not fit its counts.
    """
    sections = [chapter(data) for chapter in CHAPTERS]
    figures = {part.id: part.figure for section in sections for part in section.parts if isinstance(part, Chart)}
    scripts = [get_plotlyjs(), _resource("script.js")]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_policy(scripts)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(data.title)}</title>\n<style>\n{_resource('style.css')}</style>\n</head>\n<body>\n"
        f'<a class="skip" href="#main">Skip to the report</a>\n{_header(data)}'
        f'<div class="columns">\n{_contents(sections)}<main id="main">\n{_NO_SCRIPT}'
        + "".join(_section(section) for section in sections)
        + "</main>\n</div>\n"
        f'<script type="application/json" id="figures">{_figures_json(figures)}</script>\n'
        + "".join(f"<script>{script}</script>\n" for script in scripts)
        + "</body>\n</html>\n"
    )


def _header(data: ReportData) -> str:
    return (
        f"<header>\n<h1>{escape(data.title)}</h1>\n"
        f"<p>{escape(data.source)} · {escape(dates(data.first_date, data.last_date))} · made "
        f'<time datetime="{escape(data.made_at)}">{escape(moment(data.made_at))}</time></p>\n'
        f"{_SYNTHETIC if data.synthetic else ''}</header>\n"
    )


def _contents(sections: list[Section]) -> str:
    items = "\n".join(f'<li><a href="#{section.id}">{escape(section.title)}</a></li>' for section in sections)
    return f'<nav aria-label="Contents">\n<ul>\n{items}\n</ul>\n</nav>\n'


def _section(section: Section) -> str:
    groups = [
        _charts([part for part in group if isinstance(part, Chart)]) if drawn else "\n".join(map(str, group))
        for drawn, group in groupby(section.parts, key=lambda part: isinstance(part, Chart))
    ]
    parts = "\n".join(groups)
    return (
        f'<section id="{section.id}" aria-labelledby="{section.id}-title">\n'
        f'<h2 id="{section.id}-title">{escape(section.title)}</h2>\n{parts}\n</section>\n'
    )


def _charts(charts: list[Chart]) -> str:
    return '<div class="charts">\n' + "\n".join(_chart(chart) for chart in charts) + "\n</div>"


def _chart(chart: Chart) -> str:
    title = escape(chart.figure.layout.title.text)
    return (
        f'<figure>\n<figcaption id="{chart.id}-title">{title}</figcaption>\n{note(chart.note)}'
        f'<div class="chart" id="{chart.id}" role="img" style="height:{chart.figure.layout.height}px" '
        f'aria-label="Chart: {title}. The table below holds its figures."></div>\n'
        f"{folded('Table', chart.table)}\n</figure>"
    )


def _figures_json(figures: dict[str, go.Figure]) -> str:
    """The caption of the page shows each title, so that it wraps on a phone; the drawing leaves it out."""
    drawings = {place: figure.to_plotly_json() for place, figure in figures.items()}
    for drawing in drawings.values():
        drawing["layout"].pop("title", None)
    return json.dumps(drawings, separators=(",", ":"), sort_keys=True, allow_nan=False).translate(_JSON_ESCAPES)


def _policy(scripts: list[str]) -> str:
    digests = (hashlib.sha256(script.encode()).digest() for script in scripts)
    allowed = " ".join(f"'sha256-{base64.b64encode(digest).decode('ascii')}'" for digest in digests)
    return f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; base-uri 'none'"


def _resource(name: str) -> str:
    return files("spark_apps.reports").joinpath(name).read_text(encoding="utf-8")
