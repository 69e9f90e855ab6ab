"""What happens right now: the last batch, its time against its limits, what waits, what was refused."""

from __future__ import annotations

from grafana_foundation_sdk.builders import bargauge, stat, table, timeseries
from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana.panels.flux import Flux, by_tag, over_time, points, share
from grafana.panels.frame import framed
from grafana.panels.looks import below, figure, line, ranking, rows, with_limit

# seconds of one batch, and from a file's drop to readable points (SPEC T7)
MOST_SECONDS = 5.0
MOST_LATENCY = 10.0
# a drop every 10 s: after three without a batch something stands still
QUIET_SECONDS, STALLED_SECONDS = 30.0, 90.0
# share of rows that may be bad
MOST_BAD = 0.01
# files that may wait before the replay holds back (`simulate --ahead`)
MOST_LAG = 5.0
RECENT = 20
# of a row, as an expression of Flux
AGE_SECONDS = "(float(v: int(v: now())) - float(v: int(v: r._time))) / 1000000000.0"


def dashboard() -> Dashboard:
    """Returns the dashboard."""
    return framed(
        "realtime",
        "Real-time activity",
        "The stream as it runs: the last batch, its time against its limits, what waits, what was late or refused.",
        [
            ("", [age(), last_batch(), seconds_now(), latency_now(), waiting_now(), rate_now()]),
            ("Against the limits", [seconds(), latency(), steps(), waiting()]),
            ("Rows", [rate(), rows_by_fate(), bad_share(), late(), reasons()]),
            ("Batches", [recent()]),
        ],
    )


def age() -> stat.Panel:
    """Seconds since the last batch's file was dropped."""
    query = (
        points("pipeline_health", "batch")
        .then("last()")
        .with_value("(float(v: int(v: now())) - float(v: int(v: r._time))) / 1000000000.0")
    )
    return figure(
        "Since the last batch",
        f"Seconds since the newest batch's file was dropped. One comes every 10 s; after {STALLED_SECONDS:.0f} s the "
        "stream counts as stalled: is `shopstream simulate` running, and `shopstream stream`?",
        "s",
        query.keep("_value"),
        steps=below(QUIET_SECONDS, STALLED_SECONDS),
        decimals=0,
    )


def last_batch() -> stat.Panel:
    """The last batch's number."""
    return figure(
        "Last batch number",
        "Number of the newest batch, from 0.",
        "none",
        over_time("pipeline_health", "batch", function="last"),
    )


def seconds_now() -> stat.Panel:
    """The last batch's time."""
    return figure(
        "Batch time",
        "Seconds that the newest batch took. Good: under 4 s; limit: 5 s.",
        "s",
        over_time("pipeline_health", "seconds", function="last"),
        steps=below(0.8 * MOST_SECONDS, MOST_SECONDS),
        decimals=1,
    )


def latency_now() -> stat.Panel:
    """The last batch's latency."""
    return figure(
        "Drop to commit",
        "Seconds from the newest file's drop to the commit of its batch. Good: under 8 s; limit: 10 s.",
        "s",
        over_time("pipeline_health", "latency", function="last"),
        steps=below(0.8 * MOST_LATENCY, MOST_LATENCY),
        decimals=1,
    )


def waiting_now() -> stat.Panel:
    """Files that wait."""
    return figure(
        "Files waiting",
        f"Dropped files that waited behind the newest batch's. From {MOST_LAG:.0f} on the replay holds back.",
        "none",
        over_time("pipeline_health", "lag_files", function="last"),
        steps=below(2, MOST_LAG),
    )


def rate_now() -> stat.Panel:
    """Events per second of the last batch."""
    return figure(
        "Events per second",
        "Rows of the newest batch for each second it took: what the stream could read, not what was dropped.",
        "short",
        over_time("pipeline_health", "events_per_second", function="last"),
    )


def seconds() -> timeseries.Panel:
    """The batch time against its limit."""
    panel = line(
        "Batch time",
        "Seconds that batches took; the longest of each window. The red line is the limit, 5 s.",
        "s",
        over_time("pipeline_health", "seconds", function="max"),
        names={"seconds": "Longest batch"},
    )
    return with_limit(panel, MOST_SECONDS)


def latency() -> timeseries.Panel:
    """The latency against its limit."""
    panel = line(
        "Drop to commit",
        "Seconds from a file's drop to the commit of its batch; the longest of each window. The red line is the limit, "
        "10 s.",
        "s",
        over_time("pipeline_health", "latency", function="max"),
        names={"latency": "Longest wait"},
    )
    return with_limit(panel, MOST_LATENCY)


def steps() -> timeseries.Panel:
    """Where a batch's time goes."""
    return line(
        "Where the time goes",
        "Seconds of each step of a batch. The thickest band is where to look first when batches become slow.",
        "s",
        by_tag("pipeline_steps", "seconds", "step"),
        name="${__field.labels.step}",
        stacked=True,
    )


def waiting() -> timeseries.Panel:
    """Files that wait over time."""
    panel = line(
        "Files waiting",
        "Dropped files that waited behind a batch's. Rising means that batches take longer than the interval of drops.",
        "none",
        over_time("pipeline_health", "lag_files", function="max"),
        names={"lag_files": "Files"},
    )
    return with_limit(panel, MOST_LAG)


def rate() -> timeseries.Panel:
    """Events per second over time."""
    return line(
        "Events per second",
        "Rows of a batch for each second it took.",
        "short",
        over_time("pipeline_health", "events_per_second"),
        names={"events_per_second": "Events per second"},
    )


def rows_by_fate() -> timeseries.Panel:
    """Rows that were clean, and quarantined."""
    return line(
        "Rows per batch",
        "Rows that were used, and rows in quarantine. Together they are all rows of a file.",
        "short",
        over_time("pipeline_health", "clean", "quarantined"),
        names={"clean": "Clean", "quarantined": "Quarantined"},
        stacked=True,
    )


def bad_share() -> timeseries.Panel:
    """The share of rows in quarantine."""
    query = points("pipeline_health", "quarantined", "rows").window("sum").wide().where("r.rows > 0")
    panel = line(
        "Bad rows",
        "Share of rows in quarantine. The real log has nearly none; the red line is the alarm, 1 %.",
        "percentunit",
        query.with_value(share("quarantined", "rows")).keep("_time", "_value"),
        name="Bad rows",
        width=8,
    )
    return with_limit(panel, MOST_BAD)


def late() -> timeseries.Panel:
    """Late rows per batch."""
    return line(
        "Late rows",
        "Rows of windows that the watermark (10 minutes) had closed. They count everywhere but in windows. A replay in "
        "time order has none.",
        "short",
        over_time("pipeline_health", "late", function="sum"),
        names={"late": "Late rows"},
        width=8,
    )


def reasons() -> bargauge.Panel:
    """Why rows went to quarantine."""
    query = points("pipeline_quarantine", "rows").then("sum()").grouped().keep("reason", "_value").sorted("_value")
    panel = ranking(
        "Reasons for quarantine",
        "Rows in quarantine within the time range, by reason. Empty is good: no row was bad.",
        "short",
        query,
        "reason",
    )
    return panel.no_value("No bad rows")


def recent() -> table.Panel:
    """The last batches."""
    fields = ("batch", "rows", "quarantined", "late", "new_products", "seconds", "latency", "lag_files")
    query: Flux = points("pipeline_health", *fields).then(f"tail(n: {RECENT})").wide().grouped().sorted("_time")
    heads = {
        "_time": "Dropped at",
        "batch": "Batch",
        "rows": "Rows",
        "quarantined": "Bad",
        "late": "Late",
        "new_products": "New",
        "seconds": "Took",
        "latency": "Latency",
        "lag_files": "Waiting",
    }
    units = {"_time": "dateTimeAsIso", "batch": "none", "seconds": "s", "latency": "s"}
    return rows(
        "Recent batches",
        f"The newest {RECENT} batches of the time range: rows, those of them in quarantine and those that were late, "
        "products seen for the first time, seconds of the batch and from drop to commit, files that waited behind its "
        "own.",
        "locale",
        query.keep("_time", *fields),
        heads,
        units,
        width=24,
        height=10,
    )
