"""What a page is made of: sections of charts with their tables, and HTML in between."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import plotly.graph_objects as go


@dataclass(frozen=True)
class Chart:
    """A figure with its place on the page and its own table.

    Attributes:
        id: of its place.
        figure: what is drawn; its title becomes the caption.
        table: HTML of the table, folded under the chart.
        note: how to read it, plain text.
    """

    id: str
    figure: go.Figure
    table: str
    note: str = ""


@dataclass(frozen=True)
class Section:
    """A heading with what stands under it: charts, and HTML in between."""

    id: str
    title: str
    parts: tuple[Chart | str, ...]


def heading(text: str) -> str:
    """Writes a heading inside a section."""
    return f"<h3>{escape(text)}</h3>"


def paragraph(sentences: Sequence[str], *, lead: str = "", warn: bool = False) -> str:
    """Writes sentences as one paragraph, after a word or two in bold; nothing without sentences."""
    kind = ' class="warning"' if warn else ""
    first = f"<strong>{escape(lead)}</strong> " if lead else ""
    return f"<p{kind}>{first}{escape(' '.join(sentences))}</p>" if sentences else ""


def bullets(sentences: Sequence[str]) -> str:
    """Writes sentences as a list."""
    return "<ul>\n" + "\n".join(f"<li>{escape(sentence)}</li>" for sentence in sentences) + "\n</ul>"


def note(text: str) -> str:
    """Writes a quiet remark; nothing without text."""
    return f'<p class="note">{escape(text)}</p>' if text else ""


def not_yet(what: str, command: str) -> str:
    """Writes that something was not computed yet, and the command that does it."""
    return (
        f'<p class="note">Not there yet: {escape(what)}. Run <code>shopstream {escape(command)}</code>, '
        "then make this report again.</p>"
    )


def facts(values: Mapping[str, str]) -> str:
    """Writes names with their values as tiles; nothing without any."""
    items = "\n".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in values.items())
    return f'<dl class="facts">\n{items}\n</dl>' if values else ""


def folded(summary: str, html: str) -> str:
    """Writes HTML that opens on demand."""
    return f"<details>\n<summary>{escape(summary)}</summary>\n{html}\n</details>"
