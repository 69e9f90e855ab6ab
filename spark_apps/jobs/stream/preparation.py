"""What a stream starts from: users' former events and lists in buckets, products and scores, segments (SPEC T3)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spark_apps.engine.base import Done, Engine, Relation, Task
from spark_apps.engine.database import sql
from spark_apps.engine.published import applied_relation, table_relation
from spark_apps.features.products import merge_descriptions
from spark_apps.features.units import EVENT_COLUMNS, PRODUCT_SUMS, product_sums
from spark_apps.jobs.features.reference import find_reference
from spark_apps.jobs.quarantine import require_events
from spark_apps.jobs.stream.models import (
    Placement,
    Served,
    load_placement,
    load_recommender,
    popular,
    versions_in_force,
)
from spark_apps.jobs.stream.state_store import StateStore, staged_below
from spark_apps.jobs.train.hybrid import SEGMENT_SCORES
from spark_apps.progress import step
from spark_apps.registry.versions import HYBRID
from spark_apps.settings import Settings
from spark_apps.storage import StoragePath, read_parquet, write_durably, write_parquet
from spark_apps.storage.transaction import Transaction
from spark_apps.streaming.state import (
    Bucket,
    StreamState,
    buckets_for,
    places_by_remainder,
    remainder_text,
    stored_centres,
)
from spark_apps.streaming.user_update import PROFILES as PROFILE_ROWS
from spark_apps.tables import (
    HISTORY,
    PRODUCTS,
    PROFILES,
    RECOMMENDATIONS,
    SCORES,
    STREAM_CONTENTS,
    STREAM_EVENTS,
    STREAM_STATE,
    STREAM_STATE_FILE,
    USER_SEGMENTS,
    DateRange,
    base_file,
)

PRODUCT_COLUMNS = (
    *("product_id", "category_code", "brand", "events", "views", "carts", "purchases", "removals"),
    *("priced", "price_sum", "unique_users", "last_time"),
)
SCORE_COLUMNS = ("segment", "product_id", "score")
# Popular products kept for users without a list: several lists' worth, since what a user bought is left out.
_POPULAR_LISTS = 5
_PRODUCT_SUMS = "product_sums"
SEGMENT_COUNTS = pa.schema([("segment", pa.string()), ("users", pa.int64())])
_BUCKETS = pa.schema([("bucket", pa.int32())])


@dataclass(frozen=True)
class _Bases:
    """The bases that tasks write: of which buckets, and below which folder of the root."""

    store: StateStore
    folder: str
    buckets: tuple[Bucket, ...]


def prepare(engine: Engine, settings: Settings, store: StateStore) -> StreamState:
    """Publishes the state before the first batch.

    Args:
        engine: reads and writes.
        settings: the run's.
        store: of the state, whose root holds tables and models.

    Raises:
        MissingTableError, MissingModelError: when nothing was trained yet.
        NothingToDoError: when no event is left of those that models were trained on.
    """
    root = store.root
    served = versions_in_force(root)
    placement = load_placement(served)
    require_events(root, DateRange())
    with Transaction(root, [STREAM_STATE]) as transaction:
        # those of an earlier stream under this root too
        applied = applied_relation(root, DateRange(), transaction.scratch(STREAM_EVENTS.name))
        number = applied.read.batches
        reference = find_reference(engine, applied.events, applied.days)
        folder = staged_below(transaction, root)
        with step("Former events") as shown:
            rows = sum(applied.read.rows.values())
            buckets = buckets_for(rows, number)
            write_history(engine, applied.events, store, folder, buckets)
            shown.done = f"{rows:,} events in {len(buckets)} buckets"
        with step("Former lists and segments"):
            counts = write_profiles(engine, store, folder, buckets)
        with step("Products"):
            products = product_base(engine, applied.events, transaction.scratch(_PRODUCT_SUMS))
            first_popular = stage_catalogue(transaction, number, products, served, settings)
        state = StreamState(
            next_batch=number,
            latest=None,
            first_date=reference.first.isoformat(),
            last_date=reference.day.isoformat(),
            buckets=buckets,
            recent=(),
            models=served.versions,
            products_from=number,
            **stored_centres(placement.centres),
            segments=segment_counts(counts, placement),
            first_popular=first_popular,
            cleaned=applied.read.cleaned,
        )
        write_durably(transaction.stage(STREAM_STATE_FILE), state.model_dump_json())
        if not number:  # else they are made of the batch log
            transaction.stage(STREAM_CONTENTS).mkdir()
        transaction.replace(STREAM_STATE)
        transaction.commit()
    return state


def product_base(engine: Engine, events: Relation, scratch: StoragePath) -> pa.Table:
    """Returns the products of events: columns of PRODUCT_COLUMNS; some hundred bytes for each of the catalogue.

    Args:
        engine: reads them.
        events: columns of EVENT_COLUMNS, and perhaps others.
        scratch: a new folder.
    """
    inputs = {"events": events.select(*EVENT_COLUMNS.names)}
    engine.run(product_sums, inputs, "user_id", {_PRODUCT_SUMS: scratch})
    sums = merge_descriptions(read_parquet(scratch, PRODUCT_SUMS.names)).select(PRODUCT_COLUMNS)
    price_sum = pc.fill_null(sums["price_sum"].cast(pa.float64()), 0.0)
    return sums.set_column(PRODUCT_COLUMNS.index("price_sum"), "price_sum", price_sum)


def write_history(
    engine: Engine, events: Relation, store: StateStore, folder: str, buckets: tuple[Bucket, ...]
) -> None:
    """Writes the bases of users' events of every bucket.

    Args:
        engine: reads and writes.
        events: columns of EVENT_COLUMNS, and perhaps others.
        store: where they stand.
        folder: see `StateChange.folder`.
        buckets: all of a state.
    """
    about, inputs = _Bases(store, folder, buckets), {"events": events.select(*EVENT_COLUMNS.names)}
    done = engine.run(_write_history, inputs, _by(buckets), shared=about)
    _write_empty(HISTORY, EVENT_COLUMNS, about, done)


def write_profiles(engine: Engine, store: StateStore, folder: str, buckets: tuple[Bucket, ...]) -> pa.Table:
    """Writes the bases of segments and lists of every bucket, as the last training left them.

    Args:
        engine: reads and writes.
        store: where they stand.
        folder: as for `write_history`.
        buckets: all of a state.

    Returns:
        Users by segment: SEGMENT_COUNTS, several rows a segment.
    """
    about, root = _Bases(store, folder, buckets), store.root
    inputs = {
        "segments": table_relation(root, USER_SEGMENTS).select("user_id", "segment"),
        "recommendations": table_relation(root, RECOMMENDATIONS).select("user_id", "rank", "product_id"),
    }
    done = engine.run(_write_profiles, inputs, _by(buckets), shared=about)
    _write_empty(PROFILES, PROFILE_ROWS, about, done)
    return done.result("segments", SEGMENT_COUNTS)


def _write_history(task: Task) -> None:
    """Writes bases of users' events. Inputs: events of whole buckets. Shared: _Bases. Gives `buckets`, a row a base."""
    _give_written(task, HISTORY, "select * from events", EVENT_COLUMNS, "event_time")


def _write_profiles(task: Task) -> None:
    """Writes bases of segments and lists. Inputs: segments, recommendations, of whole buckets. Shared: _Bases.

    Gives `buckets`, a row a base, and `segments`, a row a segment.
    """
    _give_written(task, PROFILES, sql("spark_apps.streaming", "profiles"), PROFILE_ROWS)
    counted = "select segment, count(*) as users from segments group by segment"
    task.give("segments", task.database.rows(counted, SEGMENT_COUNTS))


def _give_written(task: Task, kind: str, text: str, schema: pa.Schema, *then_by: str) -> None:
    """Writes a query's rows, in the order of buckets and users, as their bases."""
    about: _Bases = task.shared
    places = places_by_remainder(about.buckets)
    task.database.register("places", pa.table({"remainder": np.arange(len(places)), "place": places}))
    located = f"({text}) join places on remainder = {remainder_text(len(places))}"
    order = ", ".join(["place", "user_id", *then_by])
    rows = task.database.batches(f"select * from {located} order by {order}", schema)
    written = about.store.in_task().write_sorted(kind, about.folder, about.buckets, rows)
    task.give("buckets", pa.table([pa.array(written, pa.int32())], _BUCKETS))


def _write_empty(kind: str, schema: pa.Schema, about: _Bases, done: Done) -> None:
    """Writes the bases of buckets without a row, to which no task came."""
    written = set(done.result("buckets", _BUCKETS)["bucket"].to_pylist())
    for place, bucket in enumerate(about.buckets):
        if place not in written:
            about.store.write(kind, about.folder, bucket, schema.empty_table())


def _by(buckets: tuple[Bucket, ...]) -> str:
    """What keeps the rows of a bucket in one task."""
    return remainder_text(min(bucket.modulus for bucket in buckets))


def segment_counts(counts: pa.Table, placement: Placement) -> dict[str, int]:
    """Returns the users of each segment, from what `write_profiles` returned."""
    users: Counter[str] = Counter()
    for row in counts.to_pylist():
        users[row["segment"]] += row["users"]
    return {name: users[name] for name in placement.names.values()}


def stage_catalogue(
    transaction: Transaction, batch: int, products: pa.Table, served: Served, settings: Settings
) -> tuple[int, ...]:
    """Stages the bases of products and scores, which the driver holds as catalogue anyway.

    Args:
        transaction: where they are staged.
        batch: the first one that they do not hold.
        products: columns of PRODUCT_COLUMNS.
        served: the versions whose scores are taken.
        settings: the length of lists.

    Returns:
        Products popular now, the first first.
    """
    scores = read_parquet(served.folders[HYBRID] / SEGMENT_SCORES, SCORE_COLUMNS)
    for kind, rows in ((PRODUCTS, products), (SCORES, scores)):
        write_parquet(transaction.stage(base_file(kind, batch)), rows)
    models = load_recommender(served, catalogue_of(products), scores, settings)
    return popular(models, _POPULAR_LISTS * settings.top)


def catalogue_of(products: pa.Table) -> pa.Table:
    """Returns product_id, category_code, brand, avg_price, users of products with the columns of PRODUCT_COLUMNS."""
    priced = products["priced"].to_numpy()
    sums = products["price_sum"].to_pylist()
    prices = [None if not number else total / number for number, total in zip(priced, sums, strict=True)]
    described = products.select(["product_id", "category_code", "brand"])
    described = described.append_column("avg_price", pa.array(prices, pa.float64()))
    return described.append_column("users", products["unique_users"])
