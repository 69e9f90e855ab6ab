"""One dropped file, from its lines to the tables that it changes, published at one moment (SPEC T2-T6)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema

from spark_apps.features.users import feature_columns
from spark_apps.jobs.stream.adoption import adopt
from spark_apps.jobs.stream.buckets import BucketFiles
from spark_apps.jobs.stream.contents import batch_of, stage_content
from spark_apps.jobs.stream.lines import Lines, read_lines
from spark_apps.jobs.stream.models import Placement, Served, load_placement, versions_in_force, versions_named
from spark_apps.jobs.stream.outputs import Outputs
from spark_apps.jobs.stream.places import claims, ledger_path, stage_state
from spark_apps.jobs.stream.replayed import replayed_parts
from spark_apps.jobs.stream.serving import Serving
from spark_apps.jobs.stream.tasks import ANSWERED, CARRIED, Learning, answering_step, learning_step
from spark_apps.memory import release_unused
from spark_apps.provenance import AppliedBatch, held_by_clean, holdings_of
from spark_apps.publication import Publication
from spark_apps.registry.pointer import promoted_since
from spark_apps.segmentation.rfm import rfm_columns
from spark_apps.settings import Settings
from spark_apps.storage import StoragePath, write_durably
from spark_apps.streaming.figures import (
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
    unpack,
)
from spark_apps.streaming.intake import Dropped, judge
from spark_apps.streaming.learning import FIGURES, FRESH, LEARNED, InForce
from spark_apps.streaming.placing import Placing
from spark_apps.streaming.records import BatchRecord, Outcome, Reason
from spark_apps.streaming.state import RecentBatch, StreamState, bucket_of, centres_of, stored_centres
from spark_apps.streaming.watermark import watermark_after
from spark_apps.tables import partition_folder

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

    def __init__(self, spark: SparkSession, settings: Settings, root: StoragePath, state: StreamState) -> None:
        """Loads the models that the state names."""
        self._spark, self._settings, self._root = spark, settings, root
        self.state = state
        self._served = versions_named(root, state.models)
        self._placement: Placement = load_placement(self._served)
        self._serving = Serving(spark, settings, root, self._served, state)

    def apply(self, file: Dropped) -> BatchRecord:
        """Applies a file, or notes why it changes nothing; with its record all of it is published.

        Args:
            file: what was taken out of incoming.
        """
        times, content = Times(), file.content
        with times.of("file"):
            known = content is not None and batch_of(self._root, content.sha256) is not None
        outcome, reason = judge(file, known)
        record = self._learn(file, times) if outcome == "applied" else self._note(file, outcome, reason, times)
        release_unused()
        return record

    def _keep_models_up_to_date(self) -> None:
        """Takes over what was promoted, and now and then the products that the stream has seen."""
        if promoted_since(self._root, self.state.models):
            self._adopt(versions_in_force(self._root))
        if self.state.next_batch - self.state.products_from >= self._settings.stream_refresh:
            self.state = self._serving.refreshed(self.state)

    def _adopt(self, served: Served) -> None:
        if served.versions == self.state.models:
            return  # what is promoted is gone, and was not served before either
        self._serving.close()
        self._served = served
        adopted = adopt(self._spark, self._settings, self._root, self.state, served)
        self.state, self._placement, self._serving = adopted

    def _note(self, file: Dropped, outcome: Outcome, reason: Reason | None, times: Times) -> BatchRecord:
        """Writes down a file that changes nothing."""
        record = self._record(file, times, outcome=outcome, reason=reason)
        with Publication(self._root, claims(record.batch)) as publication:
            after = self.state.model_copy(update={"next_batch": self.state.next_batch + 1})
            self._publish(publication, record, after)
        return record

    def _learn(self, file: Dropped, times: Times) -> BatchRecord:
        with times.of("models"):
            self._keep_models_up_to_date()
        batch = self.state.next_batch
        with Publication(self._root, claims(batch)) as publication:
            outputs = Outputs(self._root, publication, batch)
            with times.of("parse"):
                leap = timedelta(hours=self._settings.stream_leap)
                lines = read_lines(self._spark, file, self.state, leap)
                events, quarantined = outputs.stage_lines(lines)
            assert file.content is not None, "what is learned from was read"
            sha256 = file.content.sha256
            replayed = replayed_parts(self._root, sha256, file.sequence)
            held = self._held(file, sha256, lines, replayed)
            fresh = lines.without(held)
            folders = [f"/{partition_folder(day)}/" for day in held]
            events = tuple(path for path in events if not any(folder in path for folder in folders))
            changes = self._change(fresh, events, outputs, times) if fresh.clean else None
            lines.parsed.unpersist()
            record = self._record(
                file,
                times,
                outcome="applied",
                rows=lines.rows,
                clean=lines.clean,
                quarantined=quarantined,
                held=lines.clean - fresh.clean,
                late=fresh.late,
                replayed=replayed,
                ahead=lines.ahead,
                first_event=lines.first,
                last_event=lines.last_in_time or lines.last,
                last_ahead=lines.last if lines.ahead else None,
                watermark=watermark_after(self.state.latest),
                **(_told(changes) if changes else {}),
            )
            stage_content(publication, self._root, record.sha256, batch)
            self._publish(publication, record, self._advanced(lines, changes))
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
            clean=lines.clean,
            first_event=lines.first,
            last_event=lines.last,
            committed_at=datetime.now(timezone.utc),
            replayed=replayed,
        )
        return [day for _, day in held_by_clean([batch], holdings)]

    def _change(self, lines: Lines, events: tuple[str, ...], outputs: Outputs, times: Times) -> _Changes:
        last = date.fromisoformat(self.state.last_date)
        last = max(last, lines.clock.latest.date()) if lines.clock.latest else last
        users = self._users(lines, last, outputs).persist()
        with times.of("update"):
            learned, answered = self._figures(users)
        with times.of("write"):
            named = outputs.stage_users(users, last)
            outputs.stage_figures(learned, answered)
            outputs.stage_bases(self.state)
        users.unpersist()
        recent = RecentBatch(batch=outputs.batch, events=events, users=named)
        evolution = evolution_of(self.state.segments, answered)
        return _Changes(learned, answered, evolution, recent, last, self._serving.note(learned.products))

    def _users(self, lines: Lines, last: date, outputs: Outputs) -> DataFrame:
        """The batch's users with all that is written of them, and the tasks' figures: columns of tasks.ANSWERED."""
        files = BucketFiles.of(self._root, self._settings, self.state.buckets)
        in_force = InForce(self._serving.popular, self.state.first_popular, self._settings.top)
        learning = Learning(files, self.state, outputs.bases_below, self._settings, in_force)
        centres, margin = centres_of(self.state).places, self._settings.segment_margin
        placing = Placing(centres, self._placement.scale, self._placement.names, margin)
        fresh = lines.events(outputs.batch).select(*FRESH.names)
        spread = fresh.repartitionById(files.buckets, bucket_of(F.col("user_id"), files.buckets))
        learned = spread.mapInArrow(learning_step(learning), from_arrow_schema(LEARNED))
        first = date.fromisoformat(self.state.first_date) if self.state.first_date else None
        featured = learned.select(*feature_columns(last, first), *CARRIED)
        scored = featured.select("*", *rfm_columns(self._placement.cuts))
        answered = answering_step(self._serving.models, placing, self._settings)
        return scored.mapInArrow(answered, from_arrow_schema(ANSWERED))

    def _figures(self, users: DataFrame) -> tuple[Learned, Answered]:
        carriers = users.where(F.col(FIGURES.name).isNotNull()).select(FIGURES.name)
        parts = [unpack(row[FIGURES.name]) for row in carriers.collect()]  # one a bucket, and one a block of users
        learned = learned_of([part for part in parts if not isinstance(part, Answered)])
        return learned, answered_of(
            [part for part in parts if isinstance(part, Answered)], *centres_of(self.state).places.shape
        )

    def _publish(self, publication: Publication, record: BatchRecord, state: StreamState) -> None:
        path = ledger_path(record.batch)
        write_durably(publication.stage(path), record.model_dump_json())
        publication.replace(path)
        stage_state(publication, state)
        publication.commit()
        self.state = state

    def _advanced(self, lines: Lines, changes: _Changes | None) -> StreamState:
        """The state after a batch."""
        state = self.state
        clock, after = lines.clock, state.next_batch + 1
        seen: dict[str, Any] = {"latest": clock.latest, "doubted": clock.doubted, "next_batch": after}
        return state.model_copy(update=seen | (self._learned(changes) if changes else {}))

    def _learned(self, changes: _Changes) -> dict[str, Any]:
        state = self.state
        bases = tuple(state.next_batch if bucket in state.due() else old for bucket, old in enumerate(state.bases))
        answered = changes.answered
        centres = centres_of(self.state).moved(answered.sums, answered.nearest, self._settings.centre_decay)
        return {
            "last_date": changes.last.isoformat(),
            "bases": bases,
            "recent": tuple(one for one in (*state.recent, changes.recent) if one.batch >= min(bases)),
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
