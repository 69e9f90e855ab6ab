"""What users do: funnel, frequency, paths, what goes together, what is in demand (SPEC E6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go
from markupsafe import Markup

from spark_apps.analysis.affinities import Affinity, Item, Rule
from spark_apps.analysis.document import Analysis
from spark_apps.analysis.funnels import Abandonment, Frequency, Funnel
from spark_apps.analysis.sequences import Path
from spark_apps.analysis.tops import TopItem
from spark_apps.reports.data import ReportData
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
from spark_apps.reports.formats import counted, decimal, known, share, whole
from spark_apps.reports.html_table import html_table
from spark_apps.reports.layout import Chart, Section, heading, not_yet, note, paragraph

_AFFINITIES = {
    "viewed_categories": "Categories viewed in one session",
    "bought_categories": "Categories purchased by one user",
    "viewed_products": "Products viewed in one session",
    "bought_products": "Products purchased by one user",
}
_FREQUENCIES = {"sessions_per_user": "sessions", "days_per_user": "active dates"}
_TOPS = {"categories": "category", "brands": "brand", "products": "product"}
_LISTS = {"by_purchases": "purchases", "by_views": "views"}
UNITS = {"users": "Users", "sessions": "Sessions", "pairs": "Pairs"}
_STAGES = {"viewed": ("viewed", "view"), "carted": ("and cart", "cart"), "purchased": ("and purchase", "purchase")}
# Characters of one line of a path, and the lines it may take.
_PATH_LINE, _PATH_LINES = 24, 2
_THREE_LINES = 50
_SHORT_STEPS = {"remove_from_cart": "remove"}
# Rules in a chart; its table holds more.
_RULES_DRAWN = 10
_UNITS = {"users": "users", "sessions": "sessions", "pairs": "user and product"}
# What an item is called by, and the heading of that column.
_NAMES = {"product_id": "Product", "brand": "Brand", "category_code": "Category"}


def chapter(data: ReportData) -> Section:
    """Lays out the chapter.

    Args:
        data: what the report shows.
    """
    analysis = data.analysis
    parts = [*_funnel(analysis), *_frequency(analysis), *_paths(analysis), *_affinities(analysis), *_tops(analysis)]
    return Section("behaviour", "Funnel and behaviour", tuple(parts) or (not_yet("what users do", "analyze"),))


def funnel_sentences(analysis: Analysis) -> list[str]:
    """Says how many of those who look also buy, and how many carts are left.

    Args:
        analysis: counts over the events.

    Returns:
        Up to three sentences.
    """
    sentences = []
    users = analysis.funnel.get("users")
    if users and users.viewed:
        viewed, bought = users.viewed, users.purchased + users.purchased_without_cart
        sentences.append(
            f"Of {counted(viewed, 'user')} who viewed a product, {whole(users.carted)} "
            f"({share(users.carted, viewed)}) also put one into the cart and {whole(bought)} "
            f"({share(bought, viewed)}) purchased."
        )
    carts = analysis.cart_abandonment.get("sessions")
    if carts and carts.with_cart:
        sentences.append(
            f"Of {counted(carts.with_cart, 'session')} with a cart, {whole(carts.without_purchase)} "
            f"({share(carts.without_purchase, carts.with_cart)}) end without a purchase."
        )
    return sentences


def path_sentences(analysis: Analysis) -> list[str]:
    """Says which path is the most frequent, and which of those that end in a purchase.

    Args:
        analysis: counts over the events.

    Returns:
        Up to two sentences.
    """
    found = analysis.sequences
    if not found or not found.top:
        return []
    first = found.top[0]
    sentences = [
        f"The most frequent path is {_path(first.sequence)} "
        f"({counted(first.sessions, 'session')}, {share(first.share, 1)})."
    ]
    if found.to_purchase:
        bought = found.to_purchase[0]
        sentences.append(
            f"The most frequent path with a purchase is {_path(bought.sequence)} "
            f"({counted(bought.sessions, 'session')}, {share(bought.share, 1)})."
        )
    return sentences


def frequency_sentences(analysis: Analysis) -> list[str]:
    """Says how often users come.

    Args:
        analysis: counts over the events.

    Returns:
        Up to two sentences.
    """
    sentences = []
    for name, what in _FREQUENCIES.items():
        found = analysis.visit_frequency.get(name)
        if found and found.users and known(found.mean) is not None:
            once = found.distribution.get("1", 0)
            sentences.append(
                f"Users have {decimal(found.mean)} {what} on average (median {decimal(found.median, 1)}, "
                f"at most {whole(found.max)}); {share(once, found.users)} of {whole(found.users)} have one."
            )
    return sentences


def demand_sentences(analysis: Analysis) -> list[str]:
    """Says what is purchased most, or viewed most where nothing is purchased.

    Args:
        analysis: counts over the events.

    Returns:
        One sentence, or none where no category, brand or product is known.
    """
    parts = []
    for kind, noun in _TOPS.items():
        rows, measure = _best_list(analysis, kind)
        if rows:
            count = getattr(rows[0], measure)
            parts.append(f"{noun} {full_name(rows[0])} ({whole(count)} {measure})")
    return [f"Most in demand: {'; '.join(parts)}."] if parts else []


def affinity_sentences(analysis: Analysis) -> list[str]:
    """Says which categories go together most.

    Args:
        analysis: counts over the events.

    Returns:
        One sentence, or none where no pair is told.
    """
    found = analysis.affinities.get("viewed_categories")
    if not found or not found.rules:
        return []
    rule = found.rules[0]
    return [
        f"Of sessions that view {full_name(rule.a)}, {share(rule.confidence, 1)} view {full_name(rule.b)} "
        f"too, {decimal(rule.lift, 1)} times as many as chance would bring together."
    ]


def _funnel(analysis: Analysis) -> list[Chart | str]:
    parts: list[Chart | str] = []
    funnels = {unit: found for unit, found in analysis.funnel.items() if found.viewed}
    if funnels:
        how = "Each bar holds those with all events up to it, in whatever order. A pair is a user and a product."
        parts.append(Chart("chart-funnel", conversion(funnels), funnel_table(funnels), how))
    carts = {unit: found for unit, found in analysis.cart_abandonment.items() if found.with_cart}
    if carts:
        how = "Of a session: no purchase in it. Of a user, or a pair of user and product: none at any time."
        parts.append(Chart("chart-abandonment", abandonment(carts), abandonment_table(carts), how))
    return [paragraph(funnel_sentences(analysis)), *parts] if parts else []


def _frequency(analysis: Analysis) -> list[Chart | str]:
    parts: list[Chart | str] = []
    for name, what in _FREQUENCIES.items():
        found = analysis.visit_frequency.get(name)
        if found and found.users:
            place = f"chart-{name.replace('_', '-')}"
            parts.append(Chart(place, visit_frequency(found, what), frequency_table(found, what)))
    return [heading("How often users come"), paragraph(frequency_sentences(analysis)), *parts] if parts else []


def _paths(analysis: Analysis) -> list[Chart | str]:
    found = analysis.sequences
    if not found or not found.top:
        return []
    titles = {"top": "Most frequent paths", "to_purchase": "Most frequent paths with a purchase"}
    parts: list[Chart | str] = [heading("Paths inside sessions"), paragraph(path_sentences(analysis))]
    parts.append(note("A step that follows itself is written twice at most: view › view stands for two views or more."))
    for key, colour in (("top", BLUE), ("to_purchase", GREEN)):
        rows = found.top if key == "top" else found.to_purchase
        if rows:
            chart = paths(rows, titles[key], colour, log=key == "top")
            parts.append(Chart(f"chart-paths-{key.replace('_', '-')}", chart, paths_table(rows, titles[key])))
    return parts


def _affinities(analysis: Analysis) -> list[Chart | str]:
    told = {name: analysis.affinities.get(name) for name in _AFFINITIES}
    parts: list[Chart | str] = []
    for name, found in told.items():
        if found and found.rules:
            title = _AFFINITIES[name]
            chart, table = rules(found.rules, title), rules_table(found.rules, title)
            parts.append(Chart(f"chart-{name.replace('_', '-')}", chart, table, _affinity_note(found)))
    if not parts:
        return []
    how = "Lift: how many times more often two items share a basket than if they had nothing to do with each other."
    return [heading("What goes together"), paragraph(affinity_sentences(analysis)), note(how), *parts]


def _affinity_note(found: Affinity) -> str:
    text = f"Pairs in at least {whole(found.least_together)} of {whole(found.baskets)} baskets."
    if found.too_large:
        large = f"{counted(found.too_large, 'basket')} of more than {whole(found.largest_basket)} items"
        text += f" {large} left out."
    return text


def _tops(analysis: Analysis) -> list[Chart | str]:
    parts: list[Chart | str] = []
    for kind, noun in _TOPS.items():
        rows, measure = _best_list(analysis, kind)
        if not rows:
            continue
        title = f"Top {kind} by {measure}"
        shown = [items_table(rows, title)]
        for by, other in _LISTS.items():
            others = analysis.top[kind].get(by, ())
            if other != measure and others:
                shown.append(items_table(others, f"Top {kind} by {other}"))
        parts.append(Chart(f"chart-top-{kind}", top_items(rows, title, noun, measure), Markup("\n").join(shown)))
    sentences = demand_sentences(analysis)
    return [heading("What is in demand"), paragraph(sentences), *parts] if parts else []


def _best_list(analysis: Analysis, kind: str) -> tuple[Sequence[TopItem], str]:
    """The items by purchases; by views where nothing is purchased."""
    lists = analysis.top.get(kind, {})
    for by, measure in _LISTS.items():
        if lists.get(by):
            return lists[by], measure
    return (), ""


def _path(sequence: str) -> str:
    return sequence.replace(">", " › ")


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
            count = getattr(funnel, stage)
            part = share(count, funnel.viewed)
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
    known = [(unit, carts) for unit, carts in units.items() if carts.with_cart]
    names = [
        f"{UNITS.get(unit, label(unit))}<br>{share(carts.without_purchase, carts.with_cart)} "
        f"of {whole(carts.with_cart)}"
        for unit, carts in known
    ]
    shares = [100 * carts.without_purchase / carts.with_cart for _, carts in known]
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
    bands = frequency.distribution
    hover = [
        f"{label(band)} {what}: {whole(users)} users ({share(users, frequency.users)})" for band, users in bands.items()
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
    names = [f"{_wrapped(row.sequence)}<br>{whole(row.sessions)} ({share(row.share, 1)})" for row in rows]
    hover = [f"{label(row.sequence, 200)}: {whole(row.sessions)} sessions" for row in rows]
    values = [row.sessions for row in rows]
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
    names = [f"{item_name(rule.a)}<br>+ {item_name(rule.b)}<br>lift {decimal(rule.lift, 1)}" for rule in drawn]
    hover = [
        f"{label(full_name(rule.a), 80)}<br>+ {label(full_name(rule.b), 80)}<br>"
        f"together in {whole(rule.together)} baskets, lift {decimal(rule.lift)}"
        for rule in drawn
    ]
    values = [rule.lift for rule in drawn]
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
    values = [getattr(row, measure) for row in rows]
    names = [f"{item_name(row)}<br>{whole(value)}" for row, value in zip(rows, values, strict=True)]
    hover = [f"{label(full_name(row), 80)}: {whole(value)}" for row, value in zip(rows, values, strict=True)]
    return named_bars(chart, names, values, hover=hover, colours=GREEN if measure == "purchases" else BLUE)


def item_name(item: Item) -> str:
    """Names an item in one short line, escaped: a product by brand and id, a category by its last two parts."""
    if item.product_id is not None:
        return label(f"{item.brand} {item.product_id}")
    if item.category_code is not None:
        return category_label(item.category_code)
    return label(item.brand)


def full_name(item: Item) -> str:
    """Names an item by all that is known of it, not yet escaped."""
    parts = [str(value) for name in _NAMES if (value := getattr(item, name)) is not None]
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


def funnel_table(funnels: Mapping[str, Funnel]) -> Markup:
    """Writes the funnel of each unit.

    Args:
        funnels: those that viewed, that also have a cart, that also have a purchase.

    Returns:
        HTML.
    """
    heads = (
        "Counted by",
        "Viewed",
        "and cart",
        "and purchase",
        "Purchase without cart",
        "View to cart",
        "Cart to purchase",
        "View to purchase",
    )
    rows = [
        (
            _UNITS.get(unit, unit),
            *(whole(getattr(found, key)) for key in ("viewed", "carted", "purchased", "purchased_without_cart")),
            share(found.carted, found.viewed),
            share(found.purchased, found.carted),
            share(found.purchased + found.purchased_without_cart, found.viewed),
        )
        for unit, found in funnels.items()
    ]
    return html_table("Funnel (counts and rates)", heads, rows)


def abandonment_table(units: Mapping[str, Abandonment]) -> Markup:
    """Writes how many carts end without a purchase.

    Args:
        units: those with a cart and those of them without a purchase.

    Returns:
        HTML.
    """
    heads = ("Counted by", "With a cart (count)", "Without a purchase (count)", "Abandoned")
    rows = [
        (
            _UNITS.get(unit, unit),
            whole(carts.with_cart),
            whole(carts.without_purchase),
            share(carts.without_purchase, carts.with_cart),
        )
        for unit, carts in units.items()
    ]
    return html_table("Carts without a purchase", heads, rows)


def frequency_table(frequency: Frequency, what: str) -> Markup:
    """Writes how many users come how often.

    Args:
        frequency: users in bands, and figures over all users.
        what: is counted of each user.

    Returns:
        HTML.
    """
    rows = [(band, whole(users), share(users, frequency.users)) for band, users in frequency.distribution.items()]
    rows += [
        ("mean", decimal(frequency.mean), ""),
        ("median", decimal(frequency.median), ""),
        ("90th percentile", decimal(frequency.p90), ""),
        ("maximum", whole(frequency.max), ""),
    ]
    heads = (f"{what.capitalize()} of one user", "Users (count)", "Share")
    return html_table(f"Users by their number of {what}; below, figures over all users", heads, rows)


def paths_table(rows: Sequence[Path], caption: str) -> Markup:
    """Writes paths inside sessions.

    Args:
        rows: the paths, most frequent first.
        caption: which paths these are.

    Returns:
        HTML.
    """
    cells = [(row.sequence.replace(">", " › "), whole(row.sessions), share(row.share, 1)) for row in rows]
    return html_table(caption, ("Path", "Sessions (count)", "Share of sessions"), cells)


def rules_table(rules: Sequence[Rule], caption: str) -> Markup:
    """Writes pairs that go together.

    Args:
        rules: pairs, highest lift first.
        caption: which pairs these are.

    Returns:
        HTML.
    """
    heads = ("Who has", "has also", "Baskets with both", "Support", "Confidence", "Lift")
    rows = [
        (
            full_name(rule.a),
            full_name(rule.b),
            whole(rule.together),
            share(rule.support, 1),
            share(rule.confidence, 1),
            decimal(rule.lift),
        )
        for rule in rules
    ]
    return html_table(caption, heads, rows, text_columns=(1,))


def items_table(items: Sequence[TopItem], caption: str) -> Markup:
    """Writes the items of a top list.

    Args:
        items: products, categories or brands, best first.
        caption: which list it is.

    Returns:
        HTML.
    """
    names = [name for name in _NAMES if items and getattr(items[0], name) is not None]
    heads = (*(_NAMES[name] for name in names), "Views", "Carts", "Purchases", "Revenue (currency of the log)")
    rows = [
        (
            *(str(getattr(item, name)) for name in names),
            *(whole(getattr(item, name)) for name in ("views", "carts", "purchases")),
            decimal(item.revenue),
        )
        for item in items
    ]
    return html_table(caption, heads, rows, text_columns=range(len(names)))
