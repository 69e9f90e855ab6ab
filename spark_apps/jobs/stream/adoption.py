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
from spark_apps.jobs.stream.models import Placement, Served, load_placement
from spark_apps.jobs.stream.preparation import (
    product_base,
    segment_counts,
    stage_catalogue,
    write_history,
    write_profiles,
)
from spark_apps.jobs.stream.serving import Serving, merged_products, replace_catalogue
from spark_apps.jobs.stream.state_store import StateChange, StateStore
from spark_apps.settings import Settings
from spark_apps.streaming.state import Bucket, StreamState, stored_centres
from spark_apps.streaming.user_update import PROFILES as PROFILE_ROWS
from spark_apps.streaming.user_update import newest_profiles
from spark_apps.tables import HISTORY, PROFILES, STREAM_EVENTS, DateRange

_TRAINED, _PRODUCT_SUMS = "trained", "product_sums"


def adopt(
    engine: Engine, settings: Settings, store: StateStore, state: StreamState, served: Served
) -> tuple[StreamState, Placement, Serving]:
    """Publishes the state that goes on with other models.

    Args:
        engine: reads and writes.
        settings: the run's.
        store: of the state.
        state: before a batch.
        served: the versions to go on with.

    Returns:
        The new state, how users are placed, and what recommends.
    """
    placement, batch, root = load_placement(served), state.next_batch, store.root
    renewed = {bucket: (bucket.renewed(batch),) for bucket in state.buckets}
    after = state.with_bases(renewed)
    with store.change(batch) as change:
        transaction = change.transaction
        applied = applied_relation(root, DateRange(), transaction.scratch(STREAM_EVENTS.name))
        dates: dict[str, str] = {}
        if applied.read.cleaned == state.cleaned:
            events, products = None, merged_products(root, state.products_from, batch)
        else:  # `clean` has other events now than the bases: they are made anew, so that none is missing or there twice
            events = applied.events
            products = product_base(engine, events, transaction.scratch(_PRODUCT_SUMS))
            reference = find_reference(engine, events, applied.days)
            dates = {"first_date": reference.first.isoformat(), "last_date": reference.day.isoformat()}
        counts = _write_bases(engine, change, state, after.buckets, events)
        change.replace_bases(renewed)
        first_popular = stage_catalogue(transaction, batch, products, served, settings)
        replace_catalogue(transaction, state.products_from, batch)
        after = after.model_copy(
            update={
                "models": served.versions,
                "products_from": batch,
                **stored_centres(placement.centres),
                "segments": segment_counts(counts, placement),
                "first_popular": first_popular,
                "cleaned": applied.read.cleaned,
                **dates,
            }
        )
        change.commit(after)
    return after, placement, Serving(engine, settings, store, served, after)


@dataclass(frozen=True)
class _Rewriting:
    """What tasks need to write bases anew.

    Attributes:
        store: of the state.
        state: before the batch.
        folder: where they are put: see `StateChange.folder`.
        trained: the same of the bases of segments and lists that the training left.
        renews: whether users' events stay as they are.
    """

    store: StateStore
    state: StreamState
    folder: str
    trained: str
    renews: bool


def _write_bases(
    engine: Engine, change: StateChange, state: StreamState, buckets: tuple[Bucket, ...], events: Relation | None
) -> pa.Table:
    """Writes every bucket's bases: profiles with what was trained, events as they were or, if given, these.

    Returns:
        See `preparation.write_profiles`.
    """
    store = change.store
    trained = f"{change.transaction.scratch(_TRAINED).relative_to(store.root).as_posix()}/"
    if events is not None:
        write_history(engine, events, store, change.folder, buckets)
    counts = write_profiles(engine, store, trained, buckets)
    about = _Rewriting(store, state, change.folder, trained, renews=events is None)
    engine.map(_rewrite, list(zip(state.buckets, buckets, strict=True)), shared=about)
    return counts


def _rewrite(task: Task) -> None:
    """Writes the bases of a bucket anew. Item: the bucket before and after. Shared: _Rewriting."""
    about: _Rewriting = task.shared
    (old, new), store = task.item, about.store.in_task()
    seen = _without_segment(store.profiles(about.state, old))
    profiles = newest_profiles([seen, store.profiles_below(about.trained, new)])
    if about.renews:
        store.renew(HISTORY, about.folder, about.state, old, new)
    store.write(PROFILES, about.folder, new, profiles)


def _without_segment(profiles: pa.Table) -> pa.Table:
    """Former profiles with their lists only: other models have other segments."""
    kept = {"user_id", "listed"}
    columns = [profiles[one.name] if one.name in kept else pa.nulls(len(profiles), one.type) for one in PROFILE_ROWS]
    return pa.table(columns, PROFILE_ROWS)
