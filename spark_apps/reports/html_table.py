"""What all tables share: one way to write a table, counts with their shares, tints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from markupsafe import Markup

from spark_apps.reports.formats import known, largest_first, share, whole


def html_table(
    caption: str,
    heads: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    text_columns: Sequence[int] = (),
    shades: Sequence[Sequence[float]] = (),
    wrapped: bool = False,
) -> Markup:
    """Writes one table; the first cell of each row is its heading.

    Args:
        caption: what the table shows.
        heads: column headings, with units.
        rows: cells as plain text, escaped here.
        text_columns: places of columns that hold words, set to the left.
        shades: for each row, how strongly each cell but the first is tinted, 0 to 1.
        wrapped: whether cells break at their spaces before the table is wider than the page.

    Returns:
        HTML in a frame that scrolls sideways where the page is narrow.
    """
    words = {0, *text_columns}
    head = Markup().join(
        Markup('<th scope="col"{}>{}</th>').format(_text_class(place in words), name)
        for place, name in enumerate(heads)
    )
    body = Markup("\n").join(_row(cells, words, shades[place] if shades else ()) for place, cells in enumerate(rows))
    return Markup(
        '<div class="scroll" role="region" tabindex="0" aria-label="{caption}">\n<table{kind}>\n'
        "<caption><span>{caption}</span></caption>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n"
        "</table>\n</div>"
    ).format(caption=caption, kind=Markup(' class="wrapped"' if wrapped else ""), head=head, body=body)


def counts_table(caption: str, name: str, unit: str, counts: Mapping[str, int], total: int) -> Markup:
    """Writes counts with their share of a total, largest first.

    Args:
        caption: what the table shows.
        name: heading of the names.
        unit: what is counted.
        counts: counts per name.
        total: what the shares are of.

    Returns:
        HTML.
    """
    rows = [(key, whole(count), share(count, total)) for key, count in largest_first(counts)]
    return html_table(caption, (name, f"{unit} (count)", "Share"), rows)


def shades(values: Sequence[float | None]) -> list[float]:
    """Says how strongly each figure of a row is tinted.

    Args:
        values: the figures, None where not known.

    Returns:
        0 for the lowest, and where nothing is known, to 1 for the highest; all 0 where they are equal.
    """
    figures = [known(value) for value in values]
    lowest = min((value for value in figures if value is not None), default=0.0)
    highest = max((value for value in figures if value is not None), default=0.0)
    if highest == lowest:
        return [0.0] * len(figures)
    return [0.0 if value is None else (value - lowest) / (highest - lowest) for value in figures]


def _text_class(is_text: bool) -> Markup:
    return Markup(' class="text"' if is_text else "")


def _row(cells: Sequence[str], words: set[int], shades: Sequence[float]) -> Markup:
    first, *others = cells
    styles = [Markup(f' class="tinted" style="--tint:{shade:.2f}"' if shade else "") for shade in shades]
    written = Markup().join(
        Markup("<td{}{}>{}</td>").format(_text_class(place in words), styles[place - 1] if styles else "", cell)
        for place, cell in enumerate(others, start=1)
    )
    return Markup('<tr><th scope="row" class="text">{}</th>{}</tr>').format(first, written)
