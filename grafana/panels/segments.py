"""Segments and their evolution: who is in which, who moves where, and whether the picture holds still."""

from __future__ import annotations

from grafana_foundation_sdk.builders import barchart, bargauge, stat, table, timeseries
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana.panels.flux import by_tag, chosen, latest, over_time, points, tag_values
from grafana.panels.frame import framed, variable
from grafana.panels.looks import bars, below, figure, line, ranking, rows, with_limit

SEGMENTS = chosen("segment", "segment")
BY_SEGMENT = "${__field.labels.segment}"
# more than this share of a batch's known users changing segment is an alarm (SPEC T5)
MOST_CHANGE = 0.15


def dashboard() -> Dashboard:
    """Returns the dashboard."""
    return framed(
        "segments",
        "Segments and their evolution",
        "How many users each segment has, what they are worth, who moves, and whether segments hold still.",
        [
            ("", [known_users(), change_rate_now(), shift_now(), moved_now(), batch_users(), new_users()]),
            ("Who is where", [users(), shares(), rfm()]),
            ("Who moves", [change_rate(), shift(), in_and_out(), moves()]),
            ("What they are worth", [value(), value_over_time(), segments_now()]),
        ],
        [variable("segment", "Segment", "Behavioural segments.", tag_values("segment_evolution", "segment"))],
    )


def known_users() -> stat.Panel:
    """All users in all segments."""
    query = points("segment_evolution", "users").window("last").grouped("_time").then("sum()").grouped()
    return figure(
        "Users in segments",
        "All users that have a segment, after the newest batch. It only grows: users are never forgotten.",
        "short",
        query.sorted("_time", descending=False).keep("_time", "_value"),
    )


def change_rate_now() -> stat.Panel:
    """The last batch's change rate."""
    return figure(
        "Change rate",
        "Share of the newest batch's known users whose segment changed. Good: under 10 %, and in the first days "
        "after a training under 15 %, where it alarms.",
        "percentunit",
        over_time("segment_shift", "change_rate", function="last"),
        steps=below(0.10, MOST_CHANGE),
        decimals=1,
    )


def shift_now() -> stat.Panel:
    """The last batch's shift."""
    return figure(
        "Shift",
        "Half the sum of changes of the segments' shares in the newest batch. Good: far under 1 %.",
        "percentunit",
        over_time("segment_shift", "shift", function="last"),
        steps=below(0.01, 0.05),
        decimals=2,
    )


def moved_now() -> stat.Panel:
    """Users that moved in the last batch."""
    return figure(
        "Users who moved",
        "Known users of the newest batch that are now in another segment.",
        "short",
        over_time("segment_shift", "moved", function="last"),
    )


def batch_users() -> stat.Panel:
    """Known users of the last batch."""
    return figure(
        "Known users",
        "Users of the newest batch that had a segment before it.",
        "short",
        over_time("segment_shift", "known_users", function="last"),
    )


def new_users() -> stat.Panel:
    """New users of the last batch."""
    return figure(
        "New users",
        "Users that got their first segment with the newest batch.",
        "short",
        over_time("segment_shift", "new_users", function="last"),
    )


def users() -> timeseries.Panel:
    """Users by segment."""
    return line(
        "Users per segment",
        "All users by segment, after each batch.",
        "short",
        by_tag("segment_evolution", "users", "segment", "last", SEGMENTS),
        name=BY_SEGMENT,
    )


def shares() -> timeseries.Panel:
    """Shares of segments."""
    panel = line(
        "Share of users",
        "The segments' shares of all users. Bands that keep their width mean a stable model.",
        "percentunit",
        by_tag("segment_evolution", "share", "segment", "last", SEGMENTS),
        name=BY_SEGMENT,
        stacked=True,
    )
    return panel.max(1)


def rfm() -> barchart.Panel:
    """Users seen by RFM group and segment."""
    query = points("segment_rfm", "users").where(SEGMENTS).then("sum()").grouped()
    query = query.then('pivot(rowKey: ["rfm"], columnKey: ["segment"], valueColumn: "_value")')
    panel = bars(
        "RFM against segment",
        "Users of the batches within the time range, by RFM group and segment: one who came in three batches counts "
        "three times. Good: Champions stand in the segments of most value. Whoever is seen was active, so the groups "
        "of long ago stay empty.",
        "short",
        query.sorted("rfm", descending=False),
        width=24,
        lying=True,
    )
    return panel.stacking(common_models.StackingMode.NORMAL)


def change_rate() -> timeseries.Panel:
    """The change rate over time with its limit."""
    panel = line(
        "Change rate",
        "Share of a batch's known users whose segment changed. The red line is the alarm, 15 %.",
        "percentunit",
        over_time("segment_shift", "change_rate"),
        names={"change_rate": "Change rate"},
    )
    return with_limit(panel, MOST_CHANGE)


def shift() -> timeseries.Panel:
    """The shift over time."""
    return line(
        "Shift of the population",
        "Half the sum of absolute changes of the segments' shares from batch to batch. Small and level is good.",
        "percentunit",
        over_time("segment_shift", "shift"),
        names={"shift": "Shift"},
    )


def in_and_out() -> barchart.Panel:
    """Moves into and out of each segment."""
    query = (
        points("segment_evolution", "in", "out")
        .where(SEGMENTS)
        .then("sum()")
        .then('pivot(rowKey: ["segment"], columnKey: ["_field"], valueColumn: "_value")')
    )
    return bars(
        "Moves in and out",
        "Users that came into and left each segment within the time range.",
        "short",
        query.grouped().keep("segment", "in", "out"),
        {"in": "Moved in", "out": "Moved out"},
        lying=True,
    )


def moves() -> table.Panel:
    """Moves between pairs of segments."""
    either = f"({chosen('source', 'segment')}) or ({chosen('target', 'segment')})"
    query = points("segment_moves", "users").where(either).then("sum()").grouped().keep("source", "target", "_value")
    return rows(
        "Moves between segments",
        "Users that went from one segment to another within the time range, most frequent first.",
        "locale",
        query.sorted("_value").named("users"),
        {"source": "From", "target": "To", "users": "Users"},
    )


def value() -> bargauge.Panel:
    """Mean spend by segment."""
    query = points("segment_evolution", "value").where(SEGMENTS).then("mean()").grouped().keep("segment", "_value")
    return ranking(
        "Value per segment",
        "Mean spend so far of the users seen, by segment, over the time range.",
        "currencyUSD",
        query.sorted("_value"),
        "segment",
    )


def value_over_time() -> timeseries.Panel:
    """Mean spend by segment over time."""
    return line(
        "Value over time",
        "Mean spend so far of a batch's users, by segment. The order of segments should hold.",
        "currencyUSD",
        by_tag("segment_evolution", "value", "segment", condition=SEGMENTS),
        name=BY_SEGMENT,
        width=16,
    )


def segments_now() -> table.Panel:
    """All figures of each segment after the newest batch."""
    query = (
        latest("segment_evolution", "users", "share", "value", "in", "out", keys=("segment",))
        .where(SEGMENTS)
        .where("exists r.users")
    )
    columns = {
        "segment": "Segment",
        "users": "Users",
        "share": "Share",
        "value": "Value",
        "in": "Moved in",
        "out": "Moved out",
        "_time": "Batch dropped at",
    }
    return rows(
        "Segments now",
        "Each segment after the newest batch that had it.",
        "locale",
        query.sorted("users"),
        columns,
        {"share": "percentunit", "value": "currencyUSD", "_time": "dateTimeAsIso"},
        width=24,
        height=7,
    )
