"""What came in live since the training, and how models kept up with it (SPEC T4, T7, G5)."""

from __future__ import annotations

from collections.abc import Sequence

from spark_apps.reports.charts import stream as charts
from spark_apps.reports.data import ReportData, Stretch
from spark_apps.reports.formats import batches, counted, decimal, joined, moment, share
from spark_apps.reports.layout import Chart, Section, not_yet, paragraph
from spark_apps.reports.tables import stream as tables

_HITS, _CHANGES, _TIMES = "Hits of the lists", "Moves of segments", "Times of batches"


def chapter(data: ReportData) -> Section:
    """Lays out the chapter.

    Args:
        data: what the report shows.
    """
    stretches = data.stream
    parts: tuple[Chart | str, ...] = (not_yet("live events", "simulate --stream"),)
    if stretches:
        parts = (paragraph(stream_sentences(stretches)), *_relevance(stretches), *_pace(stretches))
    return Section("live-stream", "Live stream", parts)


def stream_sentences(stretches: Sequence[Stretch]) -> list[str]:
    """Says what was streamed, and which lists guessed best what users took.

    Args:
        stretches: of the stream, in order.

    Returns:
        None without a stretch, else up to three sentences.
    """
    if not stretches:
        return []
    until = max((one["until"] for one in stretches if one["until"]), default=None)
    events = counted(sum(one["events"] for one in stretches), "event")
    when = f", until {moment(until.isoformat())}" if until else ""
    which = batches(stretches[0]["first"], stretches[-1]["last"])
    return [f"The stream's {which} hold {events}{when}.", *_hit_sentences(stretches), *_change_sentences(stretches)]


def _hit_sentences(stretches: Sequence[Stretch]) -> list[str]:
    sums = {words: tables.sum_of(stretches, name) for name, (words, _) in charts.RECOMMENDERS.items()}
    told = [
        f"{words.lower()} {share(found['hits'], found['trials'])}" for words, found in sums.items() if found["trials"]
    ]
    trials = max(found["trials"] for found in sums.values())
    if not told:
        return []
    what = counted(trials, "product put into the cart or purchased", "products put into the cart or purchased")
    return [f"Of {what}, lists made beforehand held: {joined(told)}."]


def _change_sentences(stretches: Sequence[Stretch]) -> list[str]:
    highest = max(stretches, key=lambda one: one["change_rate"])
    when = batches(highest["first"], highest["last"])
    return [
        f"At most {share(highest['change_rate'], 1)} of the known users seen changed their segment "
        f"({when}); the slowest batch took {decimal(max(one['seconds'] for one in stretches), 1)} s."
    ]


def _relevance(stretches: Sequence[Stretch]) -> list[Chart | str]:
    chart = charts.hit_rates(stretches)
    if not any(line.x for line in chart.data):
        return []
    words = {name: words for name, (words, _) in charts.RECOMMENDERS.items()}
    how = (
        "Each cart and purchase of a product that its user had not bought before is looked up in the ten products that "
        "each recommender would have shown before the batch was learned from."
    )
    return [Chart("chart-stream-hits", chart, tables.hits_table(stretches, words, _HITS), how)]


def _pace(stretches: Sequence[Stretch]) -> list[Chart | str]:
    changes, times = charts.segment_changes(stretches), charts.batch_times(stretches)
    return [
        Chart("chart-stream-segments", changes, tables.changes_table(stretches, _CHANGES)),
        Chart("chart-stream-times", times, tables.times_table(stretches, _TIMES)),
    ]
