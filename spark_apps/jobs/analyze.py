"""`shopstream analyze`: the October report's figures (SPEC E1-E7)."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from pyspark.sql import SparkSession

from spark_apps.analysis.behaviour import describe_behaviour
from spark_apps.analysis.exploration import explore
from spark_apps.ingestion.cleaning import REASON
from spark_apps.ingestion.manifests import date_key, raw_rows, read_manifests
from spark_apps.jobs.quarantine import require_events
from spark_apps.publication import Publication
from spark_apps.storage import StoragePath
from spark_apps.tables import EVENTS, QUARANTINE, REPORTS, DateRange, read_table

ANALYSIS = f"{REPORTS}/analysis.json"


def run(spark: SparkSession, root: StoragePath, dates: DateRange) -> dict[str, Any]:
    """Explores the clean events of a range of dates and publishes analysis.json.

    Returns:
        What analysis.json holds: the figures of `analysis.exploration.explore`; `balance`, the rows per date from raw
        to clean; and the figures of `analysis.behaviour.describe_behaviour`.
    """
    require_events(root, dates, (EVENTS,))
    events = read_table(spark, root, EVENTS, dates)
    figures = explore(events)
    figures["balance"] = _balance(spark, root, dates, figures["events_by_day"])
    figures |= describe_behaviour(events)
    with Publication(root, [ANALYSIS]) as publication:
        publication.stage(ANALYSIS).write_text(json.dumps(figures, indent=1), encoding="utf-8")
        publication.replace(ANALYSIS)
        publication.commit()
    return figures


def _balance(spark: SparkSession, root: StoragePath, dates: DateRange, clean: dict[str, int]) -> list[dict[str, Any]]:
    """Rows per cleaned date: landed by the manifests, clean and quarantined by the tables."""
    quarantined: dict[Any, Counter[str]] = {}
    for row in read_table(spark, root, QUARANTINE).groupBy("date", REASON).count().collect():  # dates x reasons
        quarantined.setdefault(row["date"], Counter())[row[REASON]] = row["count"]
    landed = raw_rows(read_manifests(root), dates)
    days = sorted(landed, key=date_key)
    return [
        {
            "date": day.isoformat() if day else None,
            "raw": landed[day],
            "clean": clean.get(str(day), 0),
            "quarantined": dict(sorted(quarantined.get(day, {}).items())),
        }
        for day in days
    ]
