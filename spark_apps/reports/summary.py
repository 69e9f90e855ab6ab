"""The report on one screen: tiles of key figures, and the findings in plain sentences, each made from the figures."""

from __future__ import annotations

from spark_apps.analysis.document import Analysis
from spark_apps.reports.activity import session_sentences, time_sentences, type_sentences
from spark_apps.reports.behaviour import affinity_sentences, demand_sentences, funnel_sentences, path_sentences
from spark_apps.reports.comparison import comparison_sentences, leading_name, ranked_models
from spark_apps.reports.data import Recommendations, ReportData
from spark_apps.reports.formats import counted, figure, share, whole
from spark_apps.reports.layout import Section, facts, paragraph
from spark_apps.reports.quality import balance_sentences, missing_sentences
from spark_apps.reports.recommendations import recommendation_sentences
from spark_apps.reports.segments import segment_sentences
from spark_apps.reports.stream import stream_sentences


def chapter(data: ReportData) -> Section:
    """Lays out the chapter.

    Args:
        data: what the report shows.
    """
    findings = summary_findings(data)
    told = [paragraph(sentences, lead=f"{lead}.") for lead, sentences in findings.items() if sentences]
    return Section("summary", "Summary", (facts(key_figures(data)), *told))


def summary_findings(data: ReportData) -> dict[str, list[str]]:
    """Says the main findings of the report.

    Args:
        data: what the report shows.

    Returns:
        For each subject its sentences as plain text, none where its figures are not there.
    """
    analysis = data.analysis
    return {
        "Traffic": _traffic(data),
        "Buying": [*funnel_sentences(analysis), *path_sentences(analysis)[-1:]],
        "Demand": [*demand_sentences(analysis), *affinity_sentences(analysis)],
        "Customers": segment_sentences(data.segments) if data.segments is not None else [],
        "Recommendations": _recommended(data.recommendations),
        "Live stream": stream_sentences(data.stream),
        "Data": [*balance_sentences(analysis.balance), *missing_sentences(analysis)],
    }


def key_figures(data: ReportData) -> dict[str, str]:
    """Returns the figures that a reader looks for first, as text; those that are not known are not there.

    Args:
        data: what the report shows.
    """
    analysis = data.analysis
    tiles = {"Events": whole(analysis.events)}
    if analysis.users is not None:
        tiles["Users"] = whole(analysis.users)
    if analysis.sessions.count:
        tiles["Sessions"] = whole(analysis.sessions.count)
    if analysis.event_counts.get("purchase"):
        tiles["Purchases"] = whole(analysis.event_counts["purchase"])
    tiles |= _rates(analysis)
    if data.segments is not None and data.segments.clusters:
        tiles["Segments"] = whole(len(data.segments.clusters))
    if data.recommendations is not None:
        tiles["Users with a list"] = whole(data.recommendations.users_with_list)
        tiles |= _best_model(data.recommendations)
    return tiles


def _rates(analysis: Analysis) -> dict[str, str]:
    rates = {}
    users = analysis.funnel.get("users")
    if users and users.viewed:
        rates["Viewers who purchase"] = share(users.purchased + users.purchased_without_cart, users.viewed)
    carts = analysis.cart_abandonment.get("sessions")
    if carts and carts.with_cart:
        rates["Carts left, by session"] = share(carts.without_purchase, carts.with_cart)
    return rates


def _best_model(found: Recommendations) -> dict[str, str]:
    return {f"{leading_name(found)} of {model}": figure(best.value) for model, best in ranked_models(found)[:1]}


def _traffic(data: ReportData) -> list[str]:
    analysis = data.analysis
    if not analysis.events:
        return ["There are no events."]
    who = f" by {counted(analysis.users, 'user')}" if analysis.users is not None else ""
    what = f" on {counted(analysis.products, 'product')}" if analysis.products is not None else ""
    days = counted(len(analysis.events_by_day), "date")
    when = f"from {data.first_date} to {data.last_date}, {days} with events"
    when = f"on {data.first_date}" if data.first_date == data.last_date else when
    return [
        f"{counted(analysis.events, 'event')}{who}{what} {when}.",
        *type_sentences(analysis)[:1],
        *time_sentences(analysis),
        *session_sentences(analysis.sessions),
    ]


def _recommended(found: Recommendations | None) -> list[str]:
    return [] if found is None else [*recommendation_sentences(found), *comparison_sentences(found)]
