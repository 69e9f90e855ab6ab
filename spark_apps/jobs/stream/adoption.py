"""A running stream takes over newly promoted models, between two batches (SPEC T3, M2).

Users whom the training knew get its segments and lists; the others keep the lists of the stream, and have no segment
until they are seen again. What the stream learned of products stays; scores start from the training's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_apps.engine.frames import read_applied
from spark_apps.features.gathering import NEEDED
from spark_apps.jobs.reference import find_reference_of_frame
from spark_apps.jobs.stream.buckets import BucketFiles
from spark_apps.jobs.stream.models import Placement, Served, load_placement
from spark_apps.jobs.stream.places import HISTORY, PROFILES, claims, replace_bucket_bases, stage_state, staged_below
from spark_apps.jobs.stream.preparation import (
    known_users,
    product_base,
    segment_counts,
    stage_catalogue,
    write_bases,
)
from spark_apps.jobs.stream.serving import Serving, merged_products, replace_bases
from spark_apps.jobs.stream.tasks import Step, bucket_of_task
from spark_apps.publication import Publication
from spark_apps.settings import Settings
from spark_apps.storage import StoragePath
from spark_apps.streaming.learning import PROFILES as PROFILE_ROWS
from spark_apps.streaming.learning import newest_profiles
from spark_apps.streaming.state import StreamState, bucket_of, stored_centres
from spark_apps.tables import DateRange


def adopt(
    spark: SparkSession, settings: Settings, root: StoragePath, state: StreamState, served: Served
) -> tuple[StreamState, Placement, Serving]:
    """Publishes the state that goes on with other models.

    Args:
        spark: the session.
        settings: the run's.
        root: folder of the tables and models.
        state: before a batch.
        served: the versions to go on with.

    Returns:
        The new state, how users are placed, and what recommends.
    """
    placement, batch = load_placement(served), state.next_batch
    with Publication(root, claims(batch)) as publication:
        applied = read_applied(spark, root, DateRange())
        dates: dict[str, str] = {}
        if applied.read.cleaned == state.cleaned:
            events, products = None, merged_products(root, state.products_from, batch)
        else:  # `clean` has other events now than the bases: they are made anew, so that none is missing or there twice
            events, products = applied.events, product_base(applied.events)
            reference = find_reference_of_frame(events, applied.days)
            dates = {"first_date": reference.first.isoformat(), "last_date": reference.day.isoformat()}
        _write_bases(spark, settings, root, state, publication, events)
        replace_bucket_bases(publication, state, range(state.buckets))
        first_popular = stage_catalogue(publication, batch, products, served, settings)
        replace_bases(publication, state.products_from, batch)
        after = state.model_copy(
            update={
                "bases": (batch,) * state.buckets,
                "recent": (),
                "models": served.versions,
                "products_from": batch,
                **stored_centres(placement.centres),
                "segments": segment_counts(spark, root, placement),
                "first_popular": first_popular,
                "cleaned": applied.read.cleaned,
                **dates,
            }
        )
        stage_state(publication, after)
        publication.commit()
    return after, placement, Serving(spark, settings, root, served, after)


def _write_bases(
    spark: SparkSession,
    settings: Settings,
    root: StoragePath,
    state: StreamState,
    publication: Publication,
    events: DataFrame | None,
) -> None:
    """Writes every bucket's bases: profiles with what was trained, events as they were or, if given, these."""
    files, below = BucketFiles.of(root, settings, state.buckets), staged_below(publication, root)
    if events is not None:
        write_bases(events.select(*NEEDED.names), NEEDED, HISTORY, files, root, publication, state.next_batch)
    spread = known_users(spark, root).repartitionById(files.buckets, bucket_of(F.col("user_id"), files.buckets))
    spread.select(*PROFILE_ROWS.names).mapInArrow(
        _rewriter(files, state, below, renews=events is None), "rows bigint"
    ).collect()  # buckets


def _rewriter(files: BucketFiles, state: StreamState, below: str, renews: bool) -> Step:
    def rewrite(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        trained = [batch for batch in batches if batch.num_rows]
        bucket = bucket_of_task()
        seen = _without_segment(files.profiles(state, bucket))
        profiles = newest_profiles([seen, pa.Table.from_batches(trained)] if trained else [seen])
        if renews:
            files.renew(HISTORY, below, state, bucket)
        files.write(PROFILES, below, state.next_batch, bucket, profiles)
        yield pa.RecordBatch.from_pydict({"rows": pa.array([len(profiles)], pa.int64())})

    return rewrite


def _without_segment(profiles: pa.Table) -> pa.Table:
    """Former profiles with their lists only: other models have other segments."""
    kept = {"user_id", "listed"}
    columns = [profiles[one.name] if one.name in kept else pa.nulls(len(profiles), one.type) for one in PROFILE_ROWS]
    return pa.table(columns, PROFILE_ROWS)
