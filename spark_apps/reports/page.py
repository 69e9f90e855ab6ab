"""Puts the page together: one HTML text that needs neither a network nor other files."""

from __future__ import annotations

import base64
import hashlib
import json
from importlib.resources import files

import plotly.graph_objects as go
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from spark_apps.reports import activity, behaviour, notes, quality, recommendations, segments, stream, summary
from spark_apps.reports.data import ReportData
from spark_apps.reports.formats import dates, moment
from spark_apps.reports.layout import Chart, folded, note

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
    page = Environment(
        loader=PackageLoader("spark_apps.reports", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    ).get_template("page.html.j2")
    return page.render(
        data=data,
        sections=sections,
        style=Markup(_resource("style.css")),
        scripts=[Markup(script) for script in scripts],
        policy=Markup(_policy(scripts)),
        figures=Markup(_figures_json(figures)),
        dates=dates,
        moment=moment,
        note=note,
        folded=folded,
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
