"""The report in plain sentences, each computed from the figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from spark_apps.reports.data import (
    Analysis,
    BalanceRow,
    Recommendations,
    ReportData,
    Segments,
    SessionSummary,
)
from spark_apps.reports.formats import counted, decimal, figure, joined, known, largest_first, share, whole
from spark_apps.reports.tables import balances


def summary_sentences(data: ReportData) -> list[str]:
    """Says the main figures of the report.

    Args:
        data: what the report shows.

    Returns:
        Sentences as plain text, not yet escaped.
    """
    sentences = [
        *_event_sentences(data),
        *_time_sentences(data.analysis),
        *_missing_sentences(data.analysis),
        *session_sentences(data.analysis["sessions"]),
        *balance_sentences(data.balance),
    ]
    if data.segments is not None:
        sentences += segment_sentences(data.segments)
    if data.recommendations is not None:
        sentences += recommendation_sentences(data.recommendations)
    return sentences


def funnel_sentences(counts: Mapping[str, int]) -> list[str]:
    """Says how events lead from views over carts to purchases.

    Args:
        counts: events of each type.

    Returns:
        One sentence, or none where there is nothing to divide by.
    """
    views, carts, purchases = (counts.get(name, 0) for name in ("view", "cart", "purchase"))
    parts = []
    if views:
        parts.append(f"{_per_hundred(carts, views, 'cart')} and {_per_hundred(purchases, views, 'purchase')}")
        parts[0] += " for every 100 views"
    if carts:
        parts.append(f"{_per_hundred(purchases, carts, 'purchase')} for every 100 carts")
    return [f"There are {'; '.join(parts)}."] if parts else []


def session_sentences(sessions: SessionSummary) -> list[str]:
    """Says how long sessions are.

    Args:
        sessions: number, events and minutes of the sessions.

    Returns:
        One sentence.
    """
    if not sessions["count"]:
        return ["No event names a session."]
    text = counted(sessions["count"], "session")
    if known(sessions["events_p50"]) is not None:
        half = figure(sessions["events_p50"])
        text += f" with {decimal(sessions['events_mean'])} events on average (median {half})"
    if known(sessions["minutes_median"]) is not None:
        mean, median = decimal(sessions["minutes_mean"]), decimal(sessions["minutes_median"])
        text += f", {mean} minutes long on average (median {median})"
    return [f"The events form {text}."]


def balance_sentences(balance: Sequence[BalanceRow]) -> list[str]:
    """Says what became of the raw rows and whether every date balances.

    Args:
        balance: rows per date.

    Returns:
        No sentence without rows, else two or three.
    """
    if not balance:
        return []
    raw, reasons = sum(row["raw"] for row in balance), total_reasons(balance)
    clean, lost = sum(row["clean"] for row in balance), sum(reasons.values())
    text = f"Of {counted(raw, 'raw row')}, {whole(clean)} are clean and {whole(lost)}"
    text += f" ({share(lost, raw)}) are in quarantine" if lost else " are in quarantine"
    text += f", most often as {largest_first(reasons)[0][0]}." if len(reasons) > 1 else "."
    wrong = [row["date"] or "no date" for row in balance if not balances(row)]
    if wrong:
        return [text, f"Rows are not accounted for on {joined(wrong)}: raw is not clean + quarantined there."]
    return [text, "On every date, raw rows = clean rows + quarantined rows."]


def segment_sentences(segments: Segments) -> list[str]:
    """Says how many segments there are and which is the largest.

    Args:
        segments: the clustering.

    Returns:
        One or two sentences.
    """
    clusters = segments["clusters"]
    if not clusters:
        return []
    largest = min(clusters, key=lambda cluster: (-cluster["users"], cluster["cluster"]))
    total = sum(cluster["users"] for cluster in clusters)
    sentences = [
        f"{counted(total, 'user')} fall into {counted(len(clusters), 'segment')}; the largest is "
        f"{largest['name']} with {counted(largest['users'], 'user')} ({share(largest['users'], total)})."
    ]
    if segments["rfm"]:
        name, users = largest_first(segments["rfm"])[0]
        part = share(users, sum(segments["rfm"].values()))
        sentences.append(f"The largest RFM group is {name} with {counted(users, 'user')} ({part}).")
    return sentences


def recommendation_sentences(recommendations: Recommendations) -> list[str]:
    """Says what the model learned from and whom it serves.

    Args:
        recommendations: the model and its lists.

    Returns:
        One or two sentences.
    """
    users, served = recommendations["users"], recommendations["users_with_list"]
    sentences = [
        f"The model ({recommendations['engine']}) learned from "
        f"{counted(recommendations['interactions'], 'interaction')} of {counted(users, 'user')} with "
        f"{counted(recommendations['products'], 'product')}; "
        f"{counted(served, 'user')} ({share(served, users)}) have a list of recommendations."
    ]
    if recommendations["top_products"]:
        top = min(
            recommendations["top_products"],
            key=lambda product: (-product["users"], str(product["product_id"])),
        )
        sentences.append(
            f"The product in most lists is {top['product_id']} ({top['brand'] or 'unknown'}, "
            f"{top['category_code'] or 'unknown'}), recommended to {counted(top['users'], 'user')}."
        )
    return sentences


def total_reasons(balance: Sequence[BalanceRow]) -> dict[str, int]:
    """Adds up the quarantined rows of all dates.

    Args:
        balance: rows per date.

    Returns:
        Rows per reason, without reasons that have none.
    """
    totals: Counter[str] = Counter()
    for row in balance:
        totals.update(row["quarantined"])
    return {reason: count for reason, count in sorted(totals.items()) if count}


def _event_sentences(data: ReportData) -> list[str]:
    counts, events = data.analysis["event_counts"], data.analysis["events"]
    if not events:
        return ["There are no events."]
    days = len(data.analysis["events_by_day"])
    shares = joined([f"{share(count, events)} {name}" for name, count in largest_first(counts) if count])
    return [
        f"{counted(events, 'event')} from {data.first_date} to {data.last_date}, "
        f"{counted(days, 'date')} with events: {shares}.",
        *funnel_sentences(counts),
    ]


def _time_sentences(analysis: Analysis) -> list[str]:
    events, sentences = analysis["events"], []
    hours = {int(hour): count for hour, count in analysis["events_by_hour"].items()}
    if any(hours.values()):
        hour = min(hours, key=lambda hour: (-hours[hour], hour))
        sentences.append(
            f"The busiest hour of the day is {hour:02d}:00 to {hour:02d}:59 UTC with "
            f"{counted(hours[hour], 'event')} ({share(hours[hour], events)})."
        )
    if any(analysis["events_by_day"].values()):
        day, count = largest_first(analysis["events_by_day"])[0]
        sentences.append(f"The busiest date is {day} with {counted(count, 'event')} ({share(count, events)}).")
    return sentences


def _missing_sentences(analysis: Analysis) -> list[str]:
    events, duplicates = analysis["events"], analysis["duplicates"]
    empty = [(name, count) for name, count in largest_first(analysis["missing_values"]) if count]
    sentences = []
    if empty:
        parts = [f"{name} ({share(count, events)} of events)" for name, count in empty[:3]]
        sentences.append(f"Most often missing: {joined(parts)}.")
    if duplicates:
        part = share(duplicates, events)
        sentences.append(f"Rows that repeat another row exactly: {whole(duplicates)} ({part}); they are kept.")
    return sentences


def _per_hundred(part: int, total: int, noun: str) -> str:
    value = 100 * part / total
    return f"{value:,.1f} {noun}s"
