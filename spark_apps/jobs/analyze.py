"""`shopstream analyze`: the October report's figures (SPEC E1-E7)."""

from __future__ import annotations

from dataclasses import replace

from spark_apps.analysis import units
from spark_apps.analysis.behaviour import candidates_of, describe_behaviour
from spark_apps.analysis.counts import Counts
from spark_apps.analysis.document import Analysis, RowsOfDate
from spark_apps.analysis.exploration import explore
from spark_apps.analysis.tops import ITEMS
from spark_apps.analysis.units import merged
from spark_apps.engine.base import Done, Engine, Relation
from spark_apps.engine.published import events_relation, files_by_date
from spark_apps.ingestion.manifests import date_key, raw_rows, read_manifests
from spark_apps.jobs.quarantine import count_reasons, require_events
from spark_apps.storage import StoragePath, count_rows
from spark_apps.storage.transaction import Transaction
from spark_apps.tables import ANALYSIS, EVENTS, QUARANTINE, DateRange


def run(engine: Engine, root: StoragePath, dates: DateRange) -> Analysis:
    """Explores the events of a range of dates, those of the stream among them, and publishes analysis.json.

    Raises:
        MissingTableError: when `clean` never ran.
        NothingCleanError: when every line of these dates is in quarantine.
        NothingToDoError: when there is no event of these dates.
    """
    require_events(root, dates)
    events, _ = events_relation(root, dates)
    with Transaction(root, [ANALYSIS]) as transaction:
        counts = count(engine, events, transaction.scratch("analysis"))
        explored, behaviour = dict(explore(counts)), dict(describe_behaviour(counts))
        analysis = Analysis(**explored, balance=_balance(root, dates), **behaviour)
        transaction.stage(ANALYSIS).write_bytes(analysis.to_json().encode())
        transaction.replace(ANALYSIS)
        transaction.commit()
    return analysis


def count(engine: Engine, events: Relation, scratch: StoragePath) -> Counts:
    """Counts everything that the analysis tells, in two passes over the users and one over the sessions.

    Args:
        engine: where it is done.
        events: clean events with the columns of units.EVENT_COLUMNS, and perhaps others.
        scratch: folder for sums that are too many for one process.
    """
    item_sums, together = scratch / "item_sums", scratch / "together"
    of_users = engine.run(
        units.count_users,
        {"events": events.select(*units.EVENT_COLUMNS.names)},
        by="user_id",
        outputs={"item_sums": item_sums},
    )
    in_sessions = replace(events.select(*units.SESSION_COLUMNS), where=_both(events.where, "user_session is not null"))
    of_sessions = engine.run(units.count_sessions, {"events": in_sessions}, by="user_session")
    of_items = engine.run(units.rank_items, {"item_sums": Relation.of(item_sums, units.ITEM_SUMS)}, by="item")
    ranked = of_items.result("ranked_items", ITEMS)
    of_baskets = engine.run(
        units.count_baskets,
        {"events": events.select(*units.BASKET_COLUMNS)},
        by="user_id",
        outputs={"together": together},
        shared=candidates_of(ranked),
    )
    of_cells = engine.run(units.add_baskets, {"together": Relation.of(together, units.TOGETHER)}, by="cell")
    return Counts(
        users=_sum(of_users, "users"),
        products=_sum(of_items, "products"),
        duplicates=_sum(of_users, "duplicates"),
        cube=merged(of_users.result("cube", units.CUBE), "event_type", "date", "hour"),
        session_shapes=merged(of_sessions.result("session_shapes", units.SESSION_SHAPES), "figure", "number"),
        unit_types=merged(of_users.result("unit_types", units.UNIT_TYPES), "unit", "types"),
        frequencies=merged(of_users.result("frequencies", units.FREQUENCIES), "figure", "number"),
        sequences=merged(of_users.result("sequences", units.SEQUENCES), "sequence"),
        ranked_items=ranked,
        basket_counts=merged(of_baskets.result("basket_counts", units.BASKET_COUNTS), "figure"),
        cells=of_cells.result("cells", units.TOGETHER),
    )


def _both(condition: str | None, other: str) -> str:
    return other if condition is None else f"({condition}) and {other}"


def _sum(done: Done, name: str) -> int:
    return sum(done.results[name][name].to_pylist()) if name in done.results else 0


def _balance(root: StoragePath, dates: DateRange) -> list[RowsOfDate]:
    """Rows per cleaned date: landed by the manifests, clean by the files' footers, quarantined by their reasons."""
    landed = raw_rows(read_manifests(root), dates)
    clean = {day: sum(map(count_rows, files)) for day, files in files_by_date(root, EVENTS, landed).items()}
    quarantined = {day: count_reasons(files) for day, files in files_by_date(root, QUARANTINE, landed).items()}
    return [
        RowsOfDate(
            date=day.isoformat() if day else None,
            raw=landed[day],
            clean=clean[day],
            quarantined=dict(sorted(quarantined[day].items())),
        )
        for day in sorted(landed, key=date_key)
    ]
