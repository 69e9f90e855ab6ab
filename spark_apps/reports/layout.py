"""What a page is made of: sections of charts with their tables, and HTML in between."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import plotly.graph_objects as go
from markupsafe import Markup


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
    table: Markup
    note: str = ""


@dataclass(frozen=True)
class Section:
    """A heading with what stands under it: charts, and HTML in between (any text that is no Markup is escaped)."""

    id: str
    title: str
    parts: tuple[Chart | str, ...]

    @property
    def groups(self) -> list[tuple[bool, list[Chart | str]]]:
        """Neighbouring charts together, and the HTML between them; with each group, whether it holds charts."""
        groups = groupby(self.parts, key=lambda part: isinstance(part, Chart))
        return [(charts, list(parts)) for charts, parts in groups]


def heading(text: str) -> Markup:
    """Writes a heading inside a section."""
    return Markup("<h3>{}</h3>").format(text)


def paragraph(sentences: Sequence[str], *, lead: str = "", warn: bool = False) -> Markup:
    """Writes sentences as one paragraph, after a word or two in bold; nothing without sentences."""
    kind = Markup(' class="warning"' if warn else "")
    first = Markup("<strong>{}</strong> ").format(lead) if lead else ""
    return Markup("<p{}>{}{}</p>").format(kind, first, " ".join(sentences)) if sentences else Markup()


def bullets(sentences: Sequence[str]) -> Markup:
    """Writes sentences as a list."""
    items = Markup("\n").join(Markup("<li>{}</li>").format(sentence) for sentence in sentences)
    return Markup("<ul>\n{}\n</ul>").format(items)


def note(text: str) -> Markup:
    """Writes a quiet remark; nothing without text."""
    return Markup('<p class="note">{}</p>').format(text) if text else Markup()


def not_yet(what: str, command: str) -> Markup:
    """Writes that something was not computed yet, and the command that does it."""
    return Markup(
        '<p class="note">Not there yet: {}. Run <code>shopstream {}</code>, then make this report again.</p>'
    ).format(what, command)


def facts(values: Mapping[str, str]) -> Markup:
    """Writes names with their values as tiles; nothing without any."""
    items = Markup("\n").join(
        Markup("<div><dt>{}</dt><dd>{}</dd></div>").format(name, value) for name, value in values.items()
    )
    return Markup('<dl class="facts">\n{}\n</dl>').format(items) if values else Markup()


def folded(summary: str, html: Markup) -> Markup:
    """Writes HTML that opens on demand."""
    return Markup("<details>\n<summary>{}</summary>\n{}\n</details>").format(summary, html)
