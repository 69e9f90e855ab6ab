"""The alert rules: what is asked of InfluxDB every ten seconds, and from when on somebody should know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from grafana.panels.flux import Flux, points, share
from grafana.panels.frame import FOLDER, TAG
from grafana.panels.looks import DATA_SOURCE
from grafana.panels.realtime import AGE_SECONDS, MOST_BAD, MOST_SECONDS, STALLED_SECONDS
from grafana.panels.recommendations import UPDATED
from grafana.panels.segments import MOST_CHANGE

INTERVAL = "10s"
# a rule fires when its condition has held this long, so that one odd batch wakes nobody
HOLD = "20s"
MINUTE, HOUR = 60, 3_600
# the hit rate of ten minutes must not fall below this share of the day's
LEAST_HIT_RATE = 0.7
# fewer trials say nothing about a rate
LEAST_TRIALS = 2_000
_EXPRESSION = "__expr__"


@dataclass(frozen=True)
class Rule:
    """A rule.

    Attributes:
        name: part of its uid, never changed.
        title: as listed.
        query: gives one number, or none.
        span: how far back it looks, seconds.
        limit: what the number is compared with.
        over: whether it fires above the limit, else below it.
        summary: what happened.
        advice: what to do.
        dashboard: where to look.
        severity: critical: the stream does no work; warning: it does it badly.
    """

    name: str
    title: str
    query: Flux
    span: int
    limit: float
    over: bool
    summary: str
    advice: str
    dashboard: str
    severity: str = "warning"


def rules() -> list[Rule]:
    """Returns all rules."""
    return [stalled(), slow(), hit_rate_fallen(), segments_shift(), bad_rows(), hdfs_unfit()]


def stalled() -> Rule:
    """No batch although there was one within the hour."""
    return Rule(
        "stalled",
        "Stream stalled",
        points("pipeline_health", "batch").then("last()").with_value(AGE_SECONDS).keep("_value"),
        HOUR,
        STALLED_SECONDS,
        True,
        f"No file of the last {STALLED_SECONDS:.0f} s was read, though there were some within the hour.",
        "See whether `shopstream simulate` and `shopstream stream` still run. If you stopped them, this ends after an "
        "hour by itself.",
        "realtime",
        "critical",
    )


def slow() -> Rule:
    """The median batch takes longer than it may."""
    median = 'quantile(q: 0.5, method: "exact_mean")'
    return Rule(
        "slow",
        "Batch over 5 s",
        points("pipeline_health", "seconds").then(median).keep("_value"),
        2 * MINUTE,
        MOST_SECONDS,
        True,
        "Half of the batches of the last two minutes took longer than 5 s.",
        "See which step grew on the dashboard, and whether something else uses the machine's cores.",
        "realtime",
    )


def hit_rate_fallen() -> Rule:
    """The hit rate lies far below the day's."""
    return Rule(
        "hit-rate",
        "Hit rate fallen",
        _hit_rate_against_the_day(),
        24 * HOUR,
        LEAST_HIT_RATE,
        False,
        "The newest ten minutes' hit rate is below 70 % of that of the day before.",
        "See whether new models were promoted (purple marks on the dashboard); `shopstream models rollback` brings "
        "back those before.",
        "recommendations",
    )


def segments_shift() -> Rule:
    """Too many users change segment."""
    return Rule(
        "segment-shift",
        "Segment shift over 15 %",
        points("segment_shift", "change_rate").then("mean()").keep("_value"),
        2 * MINUTE,
        MOST_CHANGE,
        True,
        "More than 15 % of the known users of the last two minutes' batches changed segment.",
        "See between which segments they move; if shoppers really changed, train anew with `shopstream train`.",
        "segments",
    )


def bad_rows() -> Rule:
    """Too many rows go to quarantine."""
    sums = points("pipeline_health", "quarantined", "rows").then("sum()")
    query = sums.then('pivot(rowKey: ["_measurement"], columnKey: ["_field"], valueColumn: "_value")')
    return Rule(
        "bad-rows",
        "Bad rows over 1 %",
        query.where("r.rows > 0").with_value(share("quarantined", "rows")).keep("_value"),
        5 * MINUTE,
        MOST_BAD,
        True,
        "More than 1 % of the rows of the last five minutes went to quarantine.",
        "See the reasons on the dashboard, and the lines themselves in processed/quarantine.",
        "realtime",
    )


def hdfs_unfit() -> Rule:
    """HDFS does not answer, takes no writes, or has lost a node or blocks."""
    wrongs = ("safe_mode", "dead_nodes", "missing_blocks")
    newest = points("platform_hdfs", "up", *wrongs).then("last()")
    newest = newest.then('pivot(rowKey: ["_measurement"], columnKey: ["_field"], valueColumn: "_value")')
    # a NameNode that does not answer tells nothing else
    told = " + ".join(f"(if exists r.{name} then r.{name} else 0)" for name in wrongs)
    return Rule(
        "hdfs",
        "HDFS short of nodes or in safe mode",
        newest.with_value(f"float(v: 1 - r.up + {told})").keep("_value"),
        MINUTE,
        0.5,
        True,
        "The NameNode does not answer or is in safe mode, or a DataNode or blocks are lost.",
        "See `shopstream cluster status` and `shopstream cluster doctor`. After a start it ends by itself within a "
        "minute; a DataNode that is gone for good should be drained.",
        "platform",
        "critical",
    )


def provisioned() -> dict[str, Any]:
    """Returns the rules as Grafana's provisioning reads them."""
    group = {
        "orgId": 1,
        "name": TAG,
        "folder": FOLDER,
        "interval": INTERVAL,
        "rules": [_provisioned(rule) for rule in rules()],
    }
    return {"apiVersion": 1, "groups": [group]}


def _hit_rate_against_the_day() -> Flux:
    """The newest ten minutes' hits per trial, divided by the mean of the ten minutes before them; none without both."""
    sums = points("recommendation_metrics", "trials", "hits").where(UPDATED)
    sums = sums.then("aggregateWindow(every: 10m, fn: sum, createEmpty: false)").wide("recommender")
    rates = sums.where(f"r.trials >= {LEAST_TRIALS}").with_value(share("hits", "trials")).keep("_time", "_value")
    rates = rates.sorted("_time", descending=False)
    told = rates.then(
        "reduce(identity: {number: 0.0, total: 0.0, newest: 0.0}, fn: (r, accumulator) => ({"
        "number: accumulator.number + 1.0, total: accumulator.total + r._value, newest: r._value}))"
    )
    told = told.where("r.number > 1.0 and r.total > r.newest")
    return told.with_value("r.newest * (r.number - 1.0) / (r.total - r.newest)").keep("_value")


def _provisioned(rule: Rule) -> dict[str, Any]:
    evaluator = {"type": "gt" if rule.over else "lt", "params": [rule.limit]}
    return {
        "uid": f"{TAG}-{rule.name}",
        "title": rule.title,
        "condition": "B",
        "data": [_question(rule), _comparison(evaluator)],
        "for": HOLD,
        # nothing was read, so nothing is wrong with it: whether the stream stands still is a rule of its own
        "noDataState": "OK",
        "execErrState": "Error",
        "labels": {"severity": rule.severity, "kit": TAG},
        "annotations": {
            "summary": rule.summary,
            "description": rule.advice,
            "dashboard": f"/d/{TAG}-{rule.dashboard}",
        },
    }


def _question(rule: Rule) -> dict[str, Any]:
    model = {"refId": "A", "query": str(rule.query), "intervalMs": 10_000, "maxDataPoints": 1_000}
    return {
        "refId": "A",
        "relativeTimeRange": {"from": rule.span, "to": 0},
        "datasourceUid": DATA_SOURCE.uid,
        "model": model,
    }


def _comparison(evaluator: dict[str, Any]) -> dict[str, Any]:
    conditions = [{"type": "query", "evaluator": evaluator}]
    source = {"type": _EXPRESSION, "uid": _EXPRESSION}
    return {
        "refId": "B",
        "relativeTimeRange": {"from": 0, "to": 0},
        "datasourceUid": _EXPRESSION,
        "model": {"refId": "B", "datasource": source, "type": "threshold", "expression": "A", "conditions": conditions},
    }
