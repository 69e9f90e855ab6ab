"""A running stream takes over newly promoted models, between two batches (SPEC T3, M2).

Users whom the training knew get its segments and lists; the others keep the lists of the stream, and have no segment
until they are seen again. What the stream learned of products stays; scores start from the training's.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from spark_apps.engine.base import Engine, Relation, Task
from spark_apps.engine.published import applied_relation
from spark_apps.jobs.features.reference import find_reference
from spark_apps.jobs.stream.buckets import BucketFiles
from spark_apps.jobs.stream.models import Placement, Served, load_placement
from spark_apps.jobs.stream.paths import claims, replace_bucket_bases, stage_state, staged_below
from spark_apps.jobs.stream.preparation import (
    product_base,
    segment_counts,
    stage_catalogue,
    write_history,
    write_profiles,
)
from spark_apps.jobs.stream.serving import Serving, merged_products, replace_bases
from spark_apps.settings import Settings
from spark_apps.storage import StoragePath
from spark_apps.storage.transaction import Transaction
from spark_apps.streaming.state import StreamState, stored_centres
from spark_apps.streaming.user_update import PROFILES as PROFILE_ROWS
from spark_apps.streaming.user_update import newest_profiles
from spark_apps.tables import HISTORY, PROFILES, STREAM_EVENTS, DateRange

_TRAINED, _PRODUCT_SUMS = "trained", "product_sums"


def adopt(
    engine: Engine, settings: Settings, root: StoragePath, state: StreamState, served: Served
) -> tuple[StreamState, Placement, Serving]:
    """Publishes the state that goes on with other models.

    Args:
        engine: reads and writes.
        settings: the run's.
        root: folder of the tables and models.
        state: before a batch.
        served: the versions to go on with.

    Returns:
        The new state, how users are placed, and what recommends.
    """
    placement, batch = load_placement(served), state.next_batch
    with Transaction(root, claims(batch)) as transaction:
        applied = applied_relation(root, DateRange(), transaction.scratch(STREAM_EVENTS.name))
        dates: dict[str, str] = {}
        if applied.read.cleaned == state.cleaned:
            events, products = None, merged_products(root, state.products_from, batch)
        else:  # `clean` has other events now than the bases: they are made anew, so that none is missing or there twice
            events = applied.events
            products = product_base(engine, events, transaction.scratch(_PRODUCT_SUMS))
            reference = find_reference(engine, events, applied.days)
            dates = {"first_date": reference.first.isoformat(), "last_date": reference.day.isoformat()}
        counts = _write_bases(engine, root, state, transaction, events)
        replace_bucket_bases(transaction, state, range(state.buckets))
        first_popular = stage_catalogue(transaction, batch, products, served, settings)
        replace_bases(transaction, state.products_from, batch)
        after = state.model_copy(
            update={
                "bases": (batch,) * state.buckets,
                "recent": (),
                "models": served.versions,
                "products_from": batch,
                **stored_centres(placement.centres),
                "segments": segment_counts(counts, placement),
                "first_popular": first_popular,
                "cleaned": applied.read.cleaned,
                **dates,
            }
        )
        stage_state(transaction, after)
        transaction.commit()
    return after, placement, Serving(engine, settings, root, served, after)


@dataclass(frozen=True)
class _Rewriting:
    """What tasks need to write bases anew.

    Attributes:
        files: of the buckets.
        state: before the batch.
        staged: where they are put: see `paths.staged_below`.
        trained: the same of the bases of segments and lists that the training left.
        renews: whether users' events stay as they are.
    """

    files: BucketFiles
    state: StreamState
    staged: str
    trained: str
    renews: bool


def _write_bases(
    engine: Engine, root: StoragePath, state: StreamState, transaction: Transaction, events: Relation | None
) -> pa.Table:
    """Writes every bucket's bases: profiles with what was trained, events as they were or, if given, these.

    Returns:
        See `preparation.write_profiles`.
    """
    files, staged = BucketFiles(root, state.buckets), staged_below(transaction, root)
    trained = f"{transaction.scratch(_TRAINED).relative_to(root).as_posix()}/"
    if events is not None:
        write_history(engine, events, files, staged, state.next_batch)
    counts = write_profiles(engine, root, files, trained, state.next_batch)
    engine.map(_rewrite, range(state.buckets), shared=_Rewriting(files, state, staged, trained, renews=events is None))
    return counts


def _rewrite(task: Task) -> None:
    """Writes the bases of a bucket anew. Item: the bucket. Shared: _Rewriting."""
    about: _Rewriting = task.shared
    bucket, files, batch = task.item, about.files.in_task(), about.state.next_batch
    seen = _without_segment(files.profiles(about.state, bucket))
    profiles = newest_profiles([seen, files.trained(about.trained, batch, bucket)])
    if about.renews:
        files.renew(HISTORY, about.staged, about.state, bucket)
    files.write(PROFILES, about.staged, batch, bucket, profiles)


def _without_segment(profiles: pa.Table) -> pa.Table:
    """Former profiles with their lists only: other models have other segments."""
    kept = {"user_id", "listed"}
    columns = [profiles[one.name] if one.name in kept else pa.nulls(len(profiles), one.type) for one in PROFILE_ROWS]
    return pa.table(columns, PROFILE_ROWS)
