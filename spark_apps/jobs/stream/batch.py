"""One dropped file, from its lines to the tables that it changes, published at one moment (SPEC T2-T6)."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from typing import Any

from spark_apps.engine.base import Engine
from spark_apps.jobs.stream.adoption import adopt
from spark_apps.jobs.stream.lines import Lines, read_file
from spark_apps.jobs.stream.models import Placement, Served, load_placement, versions_in_force, versions_named
from spark_apps.jobs.stream.outputs import Outputs, Staged
from spark_apps.jobs.stream.replayed import replayed_parts
from spark_apps.jobs.stream.serving import Serving
from spark_apps.jobs.stream.state_store import StateChange, StateStore
from spark_apps.jobs.stream.tasks import ANSWERED, Batch, answered_parts, apply_buckets
from spark_apps.provenance import AppliedBatch, held_by_clean, holdings_of
from spark_apps.registry.alias import promoted_since
from spark_apps.runtime.memory import release_unused
from spark_apps.settings import Settings
from spark_apps.storage import StoragePath
from spark_apps.streaming.clock import Clock
from spark_apps.streaming.figures import (
    RELEVANCE,
    Answered,
    Evolution,
    Learned,
    answered_of,
    crossings_of,
    evolution_of,
    learned_of,
    lists_of,
    ranked_categories,
    ranked_products,
)
from spark_apps.streaming.intake import Dropped, judge
from spark_apps.streaming.records import BatchRecord, Outcome, Reason
from spark_apps.streaming.segment_assignment import Placing
from spark_apps.streaming.state import RecentBatch, StreamState, centres_of, stored_centres
from spark_apps.streaming.user_update import COUNTED, InForce
from spark_apps.streaming.watermark import watermark_after
from spark_apps.tables import STREAM_RECOMMENDATIONS, STREAM_USERS

RANKED = 10


@dataclass
class Times:
    """Seconds of each step of a batch."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Times one step."""
        started = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - started, 4)


@dataclass(frozen=True)
class _Changes:
    """What a batch with events changes: figures for the record, files and segments for the state."""

    learned: Learned
    answered: Answered
    evolution: Evolution
    recent: RecentBatch
    last: date
    new_products: int


class BatchProcessor:
    """Applies dropped files one after the other; between two of them it holds no more than the published state says."""

    def __init__(self, engine: Engine, settings: Settings, store: StateStore, state: StreamState) -> None:
        """Loads the models that the state names."""
        self._engine, self._settings, self._store = engine, settings, store
        self.state = state
        self._served = versions_named(store.root, state.models)
        self._placement: Placement = load_placement(self._served)
        self._serving = Serving(engine, settings, store, self._served, state)

    def apply(self, file: Dropped) -> BatchRecord:
        """Applies a file, or notes why it changes nothing; with its record all of it is published.

        Args:
            file: what was taken out of incoming.
        """
        times, content = Times(), file.content
        with times.of("file"):
            known = content is not None and self._store.batch_of(content.sha256) is not None
        outcome, reason = judge(file, known)
        record = self._learn(file, times) if outcome == "applied" else self._note(file, outcome, reason, times)
        release_unused()
        return record

    def maintain(self) -> None:
        """Does what can wait until a batch is published: compacts a part of the state."""
        self.state = self._store.compact(self._engine, self.state)
        release_unused()

    def _keep_models_up_to_date(self) -> None:
        """Takes over what was promoted, and now and then the products that the stream has seen."""
        if promoted_since(self._store.root, self.state.models):
            self._adopt(versions_in_force(self._store.root))
        if self.state.next_batch - self.state.products_from >= self._settings.stream_refresh:
            self.state = self._serving.refreshed(self.state)

    def _adopt(self, served: Served) -> None:
        if served.versions == self.state.models:
            return  # what is promoted is gone, and was not served before either
        self._serving.close()
        self._served = served
        adopted = adopt(self._engine, self._settings, self._store, self.state, served)
        self.state, self._placement, self._serving = adopted

    def _note(self, file: Dropped, outcome: Outcome, reason: Reason | None, times: Times) -> BatchRecord:
        """Writes down a file that changes nothing."""
        record = self._record(file, times, outcome=outcome, reason=reason)
        with self._store.change(record.batch) as change:
            after = self.state.model_copy(update={"next_batch": self.state.next_batch + 1})
            self._commit(change, record, after)
        return record

    def _learn(self, file: Dropped, times: Times) -> BatchRecord:
        with times.of("models"):
            self._keep_models_up_to_date()
        batch = self.state.next_batch
        with self._store.change(batch) as change:
            outputs = Outputs(change.transaction, batch)
            with times.of("parse"):
                leap = timedelta(hours=self._settings.stream_leap)
                lines = read_file(self._engine, file, self.state, leap, outputs.scratch("lines"))
                events = outputs.stage_lines(lines)
            assert file.content is not None, "what is learned from was read"
            sha256 = file.content.sha256
            replayed = replayed_parts(self._store.root, sha256, file.sequence)
            held = self._held(file, sha256, lines, replayed)
            fresh = [staged for day, staged in events.items() if day not in held]
            changes = self._change(lines.clock, fresh, outputs, times) if fresh else None
            clean = lines.count_clean()
            record = self._record(
                file,
                times,
                outcome="applied",
                rows=lines.rows,
                clean=clean,
                quarantined=lines.quarantined,
                held=clean - lines.count_clean(held),
                late=lines.count_late(held),
                replayed=replayed,
                ahead=lines.ahead,
                first_event=lines.first,
                last_event=lines.last_in_time or lines.last,
                last_ahead=lines.last if lines.ahead else None,
                watermark=watermark_after(self.state.latest),
                **(_told(changes) if changes else {}),
            )
            self._commit(change, record, self._advanced(lines, changes))
        return record

    def _held(
        self, file: Dropped, sha256: str, lines: Lines, replayed: dict[str, tuple[str, ...]] | None
    ) -> list[date]:
        """The dates of the file whose events clean had when the bases were made: they are learned already."""
        holdings = holdings_of(self.state.cleaned or {})
        if not holdings or lines.first is None or lines.last is None:
            return []
        batch = AppliedBatch(
            batch=self.state.next_batch,
            sequence=file.sequence,
            sha256=sha256,
            clean=lines.count_clean(),
            first_event=lines.first,
            last_event=lines.last,
            committed_at=datetime.now(timezone.utc),
            replayed=replayed,
        )
        return [day for _, day in held_by_clean([batch], holdings)]

    def _change(self, clock: Clock, events: Sequence[Staged], outputs: Outputs, times: Times) -> _Changes:
        last = date.fromisoformat(self.state.last_date)
        last = max(last, clock.latest.date()) if clock.latest else last
        folders = {table.name: outputs.scratch(table.name) for table in (STREAM_USERS, STREAM_RECOMMENDATIONS)}
        with times.of("update"):
            learned, answered = self._apply(self._batch(events, last), folders)
        with times.of("write"):
            users = outputs.stage_users(folders, last)
            outputs.stage_figures(learned, answered)
        recent = RecentBatch(batch=outputs.batch, events=tuple(one.path for one in events), users=users)
        evolution = evolution_of(self.state.segments, answered)
        return _Changes(learned, answered, evolution, recent, last, self._serving.note(learned.products))

    def _batch(self, events: Sequence[Staged], last: date) -> Batch:
        centres, placement = centres_of(self.state).places, self._placement
        return Batch(
            store=self._store,
            events=tuple(one.file.relative_to(self._store.root).as_posix() for one in events),
            state=self.state,
            last=last,
            first=date.fromisoformat(self.state.first_date) if self.state.first_date else None,
            in_force=InForce(self._serving.popular, self.state.first_popular, self._settings.top),
            placing=Placing(centres, placement.scale, placement.names, self._settings.segment_margin),
            cuts=placement.cuts,
            models=self._serving.models,
            settings=self._settings,
        )

    def _apply(self, batch: Batch, folders: Mapping[str, StoragePath]) -> tuple[Learned, Answered]:
        buckets = len(self.state.buckets)
        tasks = min(buckets, self._engine.parallelism)
        places = [tuple(range(first, buckets, tasks)) for first in range(tasks)]
        done = self._engine.map(apply_buckets, places, folders, batch)
        counted = {name: done.result(name, schema) for name, schema in COUNTED.items()}
        parts = answered_parts(done.result("answered", ANSWERED))
        return (
            learned_of(counted, done.result("relevance", RELEVANCE)),
            answered_of(parts, *centres_of(self.state).places.shape),
        )

    def _commit(self, change: StateChange, record: BatchRecord, state: StreamState) -> None:
        change.stage_record(record)
        change.commit(state)
        self.state = state

    def _advanced(self, lines: Lines, changes: _Changes | None) -> StreamState:
        """The state after a batch."""
        state = self.state
        clock, after = lines.clock, state.next_batch + 1
        seen: dict[str, Any] = {"latest": clock.latest, "doubted": clock.doubted, "next_batch": after}
        return state.model_copy(update=seen | (self._learned(changes) if changes else {}))

    def _learned(self, changes: _Changes) -> dict[str, Any]:
        state = self.state
        answered = changes.answered
        centres = centres_of(self.state).moved(answered.sums, answered.nearest, self._settings.centre_decay)
        return {
            "last_date": changes.last.isoformat(),
            "recent": (*state.recent, changes.recent),
            **stored_centres(centres),
            "segments": changes.evolution.users,
        }

    def _record(self, file: Dropped, times: Times, **told: Any) -> BatchRecord:
        return BatchRecord(
            batch=self.state.next_batch,
            file=file.name,
            sequence=file.sequence,
            sha256=file.content.sha256 if file.content else "",
            bytes=file.content.bytes if file.content else 0,
            dropped_at=file.dropped_at,
            committed_at=datetime.now(timezone.utc),
            lag_files=file.waiting,
            models=self._served.versions,
            seconds=times.seconds,
            **told,
        )


def _told(changes: _Changes) -> dict[str, Any]:
    """The figures of a batch with events, by the names of the record."""
    learned, answered, evolution = changes.learned, changes.answered, changes.evolution
    return {
        "events": learned.types,
        "activity": learned.activity,
        "segments": evolution.segments,
        "moves": evolution.moves,
        "crossings": crossings_of(answered),
        "known_users": evolution.known,
        "change_rate": evolution.change_rate,
        "shift": evolution.shift,
        "relevance": learned.relevance,
        "lists": lists_of(answered),
        "sources": dict(answered.sources),
        "top_products": ranked_products(learned.products, RANKED),
        "top_categories": ranked_categories(learned.products, RANKED),
        "new_products": changes.new_products,
    }
