"""What users do: funnel, frequency, paths, what goes together, what is in demand (SPEC E6)."""

from __future__ import annotations

from collections.abc import Sequence

from spark_apps.reports.charts import behaviour as charts
from spark_apps.reports.charts.behaviour import full_name
from spark_apps.reports.data import Affinity, Analysis, ReportData, TopItem
from spark_apps.reports.figures import BLUE, GREEN
from spark_apps.reports.formats import counted, decimal, known, share, whole
from spark_apps.reports.layout import Chart, Section, heading, not_yet, note, paragraph
from spark_apps.reports.tables import behaviour as tables

_AFFINITIES = {
    "viewed_categories": "Categories viewed in one session",
    "bought_categories": "Categories purchased by one user",
    "viewed_products": "Products viewed in one session",
    "bought_products": "Products purchased by one user",
}
_FREQUENCIES = {"sessions_per_user": "sessions", "days_per_user": "active dates"}
_TOPS = {"categories": "category", "brands": "brand", "products": "product"}
_LISTS = {"by_purchases": "purchases", "by_views": "views"}


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
    users = analysis.get("funnel", {}).get("users")
    if users and users["viewed"]:
        viewed, bought = users["viewed"], users["purchased"] + users["purchased_without_cart"]
        sentences.append(
            f"Of {counted(viewed, 'user')} who viewed a product, {whole(users['carted'])} "
            f"({share(users['carted'], viewed)}) also put one into the cart and {whole(bought)} "
            f"({share(bought, viewed)}) purchased."
        )
    carts = analysis.get("cart_abandonment", {}).get("sessions")
    if carts and carts["with_cart"]:
        sentences.append(
            f"Of {counted(carts['with_cart'], 'session')} with a cart, {whole(carts['without_purchase'])} "
            f"({share(carts['without_purchase'], carts['with_cart'])}) end without a purchase."
        )
    return sentences


def path_sentences(analysis: Analysis) -> list[str]:
    """Says which path is the most frequent, and which of those that end in a purchase.

    Args:
        analysis: counts over the events.

    Returns:
        Up to two sentences.
    """
    found = analysis.get("sequences")
    if not found or not found["top"]:
        return []
    first = found["top"][0]
    sentences = [
        f"The most frequent path is {_path(first['sequence'])} "
        f"({counted(first['sessions'], 'session')}, {share(first['share'], 1)})."
    ]
    if found["to_purchase"]:
        bought = found["to_purchase"][0]
        sentences.append(
            f"The most frequent path with a purchase is {_path(bought['sequence'])} "
            f"({counted(bought['sessions'], 'session')}, {share(bought['share'], 1)})."
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
        found = analysis.get("visit_frequency", {}).get(name)
        if found and found["users"] and known(found["mean"]) is not None:
            once = found["distribution"].get("1", 0)
            sentences.append(
                f"Users have {decimal(found['mean'])} {what} on average (median {decimal(found['median'], 1)}, "
                f"at most {whole(found['max'])}); {share(once, found['users'])} of {whole(found['users'])} have one."
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
            count = int(rows[0][measure])  # type: ignore[literal-required]
            parts.append(f"{noun} {full_name(rows[0])} ({whole(count)} {measure})")
    return [f"Most in demand: {'; '.join(parts)}."] if parts else []


def affinity_sentences(analysis: Analysis) -> list[str]:
    """Says which categories go together most.

    Args:
        analysis: counts over the events.

    Returns:
        One sentence, or none where no pair is told.
    """
    found = analysis.get("affinities", {}).get("viewed_categories")
    if not found or not found["rules"]:
        return []
    rule = found["rules"][0]
    return [
        f"Of sessions that view {full_name(rule['a'])}, {share(rule['confidence'], 1)} view {full_name(rule['b'])} "
        f"too, {decimal(rule['lift'], 1)} times as many as chance would bring together."
    ]


def _funnel(analysis: Analysis) -> list[Chart | str]:
    parts: list[Chart | str] = []
    funnels = {unit: found for unit, found in analysis.get("funnel", {}).items() if found["viewed"]}
    if funnels:
        how = "Each bar holds those with all events up to it, in whatever order. A pair is a user and a product."
        parts.append(Chart("chart-funnel", charts.conversion(funnels), tables.funnel_table(funnels), how))
    carts = {unit: found for unit, found in analysis.get("cart_abandonment", {}).items() if found["with_cart"]}
    if carts:
        how = "Of a session: no purchase in it. Of a user, or a pair of user and product: none at any time."
        parts.append(Chart("chart-abandonment", charts.abandonment(carts), tables.abandonment_table(carts), how))
    return [paragraph(funnel_sentences(analysis)), *parts] if parts else []


def _frequency(analysis: Analysis) -> list[Chart | str]:
    parts: list[Chart | str] = []
    for name, what in _FREQUENCIES.items():
        found = analysis.get("visit_frequency", {}).get(name)
        if found and found["users"]:
            place = f"chart-{name.replace('_', '-')}"
            parts.append(Chart(place, charts.visit_frequency(found, what), tables.frequency_table(found, what)))
    return [heading("How often users come"), paragraph(frequency_sentences(analysis)), *parts] if parts else []


def _paths(analysis: Analysis) -> list[Chart | str]:
    found = analysis.get("sequences")
    if not found or not found["top"]:
        return []
    titles = {"top": "Most frequent paths", "to_purchase": "Most frequent paths with a purchase"}
    parts: list[Chart | str] = [heading("Paths inside sessions"), paragraph(path_sentences(analysis))]
    parts.append(note("A step that follows itself is written twice at most: view › view stands for two views or more."))
    for key, colour in (("top", BLUE), ("to_purchase", GREEN)):
        rows = found["top"] if key == "top" else found["to_purchase"]
        if rows:
            chart = charts.paths(rows, titles[key], colour, log=key == "top")
            parts.append(Chart(f"chart-paths-{key.replace('_', '-')}", chart, tables.paths_table(rows, titles[key])))
    return parts


def _affinities(analysis: Analysis) -> list[Chart | str]:
    told = {name: analysis.get("affinities", {}).get(name) for name in _AFFINITIES}
    parts: list[Chart | str] = []
    for name, found in told.items():
        if found and found["rules"]:
            title = _AFFINITIES[name]
            chart, table = charts.rules(found["rules"], title), tables.rules_table(found["rules"], title)
            parts.append(Chart(f"chart-{name.replace('_', '-')}", chart, table, _affinity_note(found)))
    if not parts:
        return []
    how = "Lift: how many times more often two items share a basket than if they had nothing to do with each other."
    return [heading("What goes together"), paragraph(affinity_sentences(analysis)), note(how), *parts]


def _affinity_note(found: Affinity) -> str:
    text = f"Pairs in at least {whole(found['least_together'])} of {whole(found['baskets'])} baskets."
    if found["too_large"]:
        large = f"{counted(found['too_large'], 'basket')} of more than {whole(found['largest_basket'])} items"
        text += f" {large} left out."
    return text


def _tops(analysis: Analysis) -> list[Chart | str]:
    parts: list[Chart | str] = []
    for kind, noun in _TOPS.items():
        rows, measure = _best_list(analysis, kind)
        if not rows:
            continue
        title = f"Top {kind} by {measure}"
        shown = [tables.items_table(rows, title)]
        for by, other in _LISTS.items():
            others = analysis["top"][kind].get(by, ())
            if other != measure and others:
                shown.append(tables.items_table(others, f"Top {kind} by {other}"))
        parts.append(Chart(f"chart-top-{kind}", charts.top_items(rows, title, noun, measure), "\n".join(shown)))
    sentences = demand_sentences(analysis)
    return [heading("What is in demand"), paragraph(sentences), *parts] if parts else []


def _best_list(analysis: Analysis, kind: str) -> tuple[Sequence[TopItem], str]:
    """The items by purchases; by views where nothing is purchased."""
    lists = analysis.get("top", {}).get(kind, {})
    for by, measure in _LISTS.items():
        if lists.get(by):
            return lists[by], measure
    return (), ""


def _path(sequence: str) -> str:
    return sequence.replace(">", " › ")
