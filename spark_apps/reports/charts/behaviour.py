"""Charts of what users do: funnel, abandonment, frequency, paths, affinities, top lists (SPEC E6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from spark_apps.reports.data import Abandonment, Frequency, Funnel, Item, Path, Rule, TopItem
from spark_apps.reports.figures import (
    BLUE,
    EVENT_COLOURS,
    GREEN,
    PINK,
    PURPLE,
    category_label,
    empty_figure,
    label,
    named_bars,
)
from spark_apps.reports.formats import decimal, share, whole

UNITS = {"users": "Users", "sessions": "Sessions", "pairs": "Pairs"}
_STAGES = {"viewed": ("viewed", "view"), "carted": ("and cart", "cart"), "purchased": ("and purchase", "purchase")}
# Characters of one line of a path, and the lines it may take.
_PATH_LINE, _PATH_LINES = 24, 2
_THREE_LINES = 50
_SHORT_STEPS = {"remove_from_cart": "remove"}
# Rules in a chart; its table holds more.
_RULES_DRAWN = 10


def conversion(funnels: Mapping[str, Funnel]) -> go.Figure:
    """Draws how many users, sessions and pairs get from a view to a cart and to a purchase.

    Args:
        funnels: the funnel of each unit.

    Returns:
        Three bars for each unit, on a log scale.
    """
    chart = empty_figure("From view over cart to purchase", "Count (log scale)", "Who got so far")
    names, values, colours = [], [], []
    for unit, funnel in funnels.items():
        for stage, (words, kind) in _STAGES.items():
            count = int(funnel[stage])  # type: ignore[literal-required]
            part = share(count, funnel["viewed"])
            names.append(f"{UNITS.get(unit, label(unit))}: {words}<br>{whole(count)} ({part})")
            values.append(count)
            colours.append(EVENT_COLOURS[kind])
    return named_bars(chart, names, values, hover=names, colours=colours, log=True, bar_height=36)


def abandonment(units: Mapping[str, Abandonment]) -> go.Figure:
    """Draws the share of carts that end without a purchase.

    Args:
        units: those with a cart and those of them without a purchase.

    Returns:
        A bar for each unit that has carts.
    """
    chart = empty_figure("Carts without a purchase", "Share of those with a cart (%)", "Counted by")
    known = [(unit, carts) for unit, carts in units.items() if carts["with_cart"]]
    names = [
        f"{UNITS.get(unit, label(unit))}<br>{share(carts['without_purchase'], carts['with_cart'])} "
        f"of {whole(carts['with_cart'])}"
        for unit, carts in known
    ]
    shares = [100 * carts["without_purchase"] / carts["with_cart"] for _, carts in known]
    return named_bars(chart, names, shares, hover=names, colours=PINK)


def visit_frequency(frequency: Frequency, what: str) -> go.Figure:
    """Draws how many users come how often.

    Args:
        frequency: users in bands.
        what: is counted of each user, for example `sessions`.

    Returns:
        A bar for each band.
    """
    chart = empty_figure(f"Users by their number of {what}", f"{what.capitalize()} of one user", "Users (count)", 300)
    bands = frequency["distribution"]
    hover = [
        f"{label(band)} {what}: {whole(users)} users ({share(users, frequency['users'])})"
        for band, users in bands.items()
    ]
    chart.add_bar(x=list(bands), y=list(bands.values()), marker={"color": PURPLE}, hovertext=hover, hoverinfo="text")
    chart.update_xaxes(type="category", showgrid=False, tickangle=0, tickfont={"size": 10})
    return chart.update_yaxes(rangemode="tozero", nticks=6)


def paths(rows: Sequence[Path], title: str, colour: str = BLUE, log: bool = False) -> go.Figure:
    """Draws the most frequent paths inside sessions.

    Args:
        rows: the paths, most frequent first.
        title: which paths these are.
        colour: of the bars.
        log: whether lengths are logarithms.

    Returns:
        A bar for each path.
    """
    chart = empty_figure(title, f"Sessions (count{', log scale' if log else ''})", "Path")
    names = [f"{_wrapped(row['sequence'])}<br>{whole(row['sessions'])} ({share(row['share'], 1)})" for row in rows]
    hover = [f"{label(row['sequence'], 200)}: {whole(row['sessions'])} sessions" for row in rows]
    values = [row["sessions"] for row in rows]
    return named_bars(chart, names, values, hover=hover, colours=colour, log=log, bar_height=_THREE_LINES)


def rules(found: Sequence[Rule], title: str) -> go.Figure:
    """Draws the pairs that go together most.

    Args:
        found: pairs, highest lift first.
        title: which pairs these are.

    Returns:
        A bar for each of the first ten.
    """
    chart = empty_figure(title, "Lift (no unit)", "Pair")
    drawn = found[:_RULES_DRAWN]
    names = [f"{item_name(rule['a'])}<br>+ {item_name(rule['b'])}<br>lift {decimal(rule['lift'], 1)}" for rule in drawn]
    hover = [
        f"{label(full_name(rule['a']), 80)}<br>+ {label(full_name(rule['b']), 80)}<br>"
        f"together in {whole(rule['together'])} baskets, lift {decimal(rule['lift'])}"
        for rule in drawn
    ]
    values = [rule["lift"] for rule in drawn]
    return named_bars(chart, names, values, hover=hover, colours=PURPLE, bar_height=_THREE_LINES)


def top_items(rows: Sequence[TopItem], title: str, what: str, measure: str) -> go.Figure:
    """Draws the items with most views or purchases.

    Args:
        rows: products, categories or brands, best first.
        title: what they are.
        what: one of them is called.
        measure: `views` or `purchases`.

    Returns:
        A bar for each.
    """
    chart = empty_figure(title, f"{measure.capitalize()} (count)", what.capitalize())
    values = [int(row[measure]) for row in rows]  # type: ignore[literal-required]
    names = [f"{item_name(row)}<br>{whole(value)}" for row, value in zip(rows, values, strict=True)]
    hover = [f"{label(full_name(row), 80)}: {whole(value)}" for row, value in zip(rows, values, strict=True)]
    return named_bars(chart, names, values, hover=hover, colours=GREEN if measure == "purchases" else BLUE)


def item_name(item: Item | TopItem) -> str:
    """Names an item in one short line, escaped: a product by brand and id, a category by its last two parts."""
    if "product_id" in item:
        return label(f"{item['brand']} {item['product_id']}")
    if "category_code" in item:
        return category_label(item["category_code"])
    return label(item["brand"])


def full_name(item: Item | TopItem) -> str:
    """Names an item by all that is known of it, not yet escaped."""
    parts = [str(item[name]) for name in ("product_id", "brand", "category_code") if name in item]
    return ", ".join(parts)


def _wrapped(path: str) -> str:
    """A path on up to two lines, cut where it is longer."""
    lines = [""]
    for step in path.split(">"):
        short = _SHORT_STEPS.get(step, step)
        if lines[-1] and len(lines[-1]) + len(short) + 1 > _PATH_LINE:
            lines.append("")
        lines[-1] += f"{'›' if lines[-1] or len(lines) > 1 else ''}{short}"
    shown = lines[:_PATH_LINES]
    return "<br>".join(label(line, _PATH_LINE + 9) for line in shown) + ("…" if len(lines) > _PATH_LINES else "")
