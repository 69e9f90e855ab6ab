"""How figures are written: 1,234,567 and 12.3%, with a dash for what is not known."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime, timezone

UNKNOWN_FIGURE = "–"
_WORDS = {"ndcg": "NDCG", "map": "MAP", "hr": "HR", "rmse": "RMSE", "mrr": "MRR", "recall": "Recall"}
# Measures that look at the first k of a list.
_RANKED = {"HR", "NDCG", "Recall", "MAP", "MRR"}
_SAMPLED = "_sampled"


def known(value: float | None) -> float | None:
    """Turns NaN and infinity, which have no place in a report, into None.

    Args:
        value: a figure, or None.

    Returns:
        The figure when it is finite, else None.
    """
    return value if value is not None and math.isfinite(value) else None


def whole(value: int | None) -> str:
    """Writes a count.

    Args:
        value: a count, or None.

    Returns:
        The count with thousands separators, or a dash.
    """
    return UNKNOWN_FIGURE if value is None else f"{value:,d}"


def decimal(value: float | None, digits: int = 2) -> str:
    """Writes a figure with a fixed number of decimals.

    Args:
        value: a figure, or None.
        digits: decimals.

    Returns:
        The figure with thousands separators, or a dash when it is not known.
    """
    figure = known(value)
    return UNKNOWN_FIGURE if figure is None else f"{round(figure, digits) + 0.0:,.{digits}f}"  # never -0.00


def figure(value: float | None) -> str:
    """Writes a figure whose size is not known beforehand.

    Args:
        value: a count, a rate or an error, or None.

    Returns:
        A count without decimals, anything else with at most four, and small figures with three digits.
    """
    number = known(value)
    if number is None:
        return UNKNOWN_FIGURE
    if float(number).is_integer():
        return f"{number + 0.0:,.0f}"  # never -0
    return f"{number:,.4f}".rstrip("0").rstrip(".") if abs(number) >= 0.001 else f"{number:.3g}"


def share(part: float, total: float) -> str:
    """Writes a part of a total as a percentage that never rounds something to nothing or to all.

    Args:
        part: the part.
        total: the whole.

    Returns:
        A percentage, or a dash when the total is 0.
    """
    if not total:
        return UNKNOWN_FIGURE
    percent = 100 * part / total
    if percent in (0, 100):
        return f"{percent:.0f}%"
    if 0 < percent < 0.01:
        return "<0.01%"
    if 99.9 < percent < 100:
        return ">99.9%"
    return f"{percent:,.{1 if abs(percent) >= 1 else 2}f}%"


def measure_name(name: str, k: int | None = None) -> str:
    """Writes the name of a measure for people.

    Args:
        name: for example `ndcg_sampled`.
        k: places of a list that measures of a ranking look at, None where not known.

    Returns:
        For example `NDCG@10, sampled`.
    """
    words = name.removesuffix(_SAMPLED).replace("hit_rate", "hr").split("_")
    text = " ".join(_WORDS.get(word.lower(), word) for word in words)
    place = f"@{k}" if k is not None and text in _RANKED else ""
    return f"{text}{place}{', sampled' if is_sampled(name) else ''}"


def is_sampled(name: str) -> bool:
    """Says whether a measure looks for a product among some others only, not in the whole catalogue."""
    return name.endswith(_SAMPLED)


def moment(text: str) -> str:
    """Writes a time for people.

    Args:
        text: a time in ISO 8601; without an offset it is taken as UTC.

    Returns:
        For example `2019-10-01 13:05 UTC`, or the text itself when it is no time.
    """
    try:
        time = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return text
    aware = time if time.tzinfo else time.replace(tzinfo=timezone.utc)
    return aware.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


def dates(first: str, last: str) -> str:
    """Writes the dates of a log.

    Args:
        first: first date, ISO 8601, empty where there is none.
        last: last date.

    Returns:
        For example `2019-10-01 to 2019-10-31`, a single date, or `no dates`.
    """
    if not first:
        return "no dates"
    return first if first == last else f"{first} to {last}"


def counted(value: int, noun: str, plural: str | None = None) -> str:
    """Writes a count with its noun.

    Args:
        value: a count.
        noun: what is counted, for one.
        plural: the same for several, when it is not `noun` + s.

    Returns:
        For example `1 event` or `2,000 events`.
    """
    return f"{whole(value)} {noun if value == 1 else plural or noun + 's'}"


def batches(first: int, last: int) -> str:
    """Names batches that follow each other, for example `batch 3` or `batches 3 to 5`."""
    return f"{'batch' if first == last else 'batches'} {numbers(first, last)}"


def numbers(first: int, last: int) -> str:
    """Writes numbers that follow each other, for example `3` or `3 to 5`."""
    return str(first) if first == last else f"{first} to {last}"


def joined(parts: list[str]) -> str:
    """Joins words into a list that reads well.

    Args:
        parts: words or phrases.

    Returns:
        For example `a, b and c`.
    """
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def largest_first(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """Orders counts for a chart or a table.

    Args:
        counts: counts per name.

    Returns:
        Largest first, equals by name.
    """
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))
