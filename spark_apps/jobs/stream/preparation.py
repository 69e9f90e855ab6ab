"""What a stream starts from: users' former events and lists in buckets, products and scores, segments (SPEC T3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_apps.engine.frames import read_applied, read_table
from spark_apps.features.gathering import NEEDED, gather, leave_out
from spark_apps.features.products import newest_descriptions, product_sums
from spark_apps.jobs.hybrid import SEGMENT_SCORES
from spark_apps.jobs.quarantine import require_events
from spark_apps.jobs.reference import find_reference_of_frame
from spark_apps.jobs.stream.buckets import BucketFiles
from spark_apps.jobs.stream.contents import CONTENTS
from spark_apps.jobs.stream.models import (
    Placement,
    Served,
    load_placement,
    load_recommender,
    popular,
    versions_in_force,
)
from spark_apps.jobs.stream.places import (
    HISTORY,
    PRODUCTS,
    PROFILES,
    SCORES,
    STATE,
    STATE_FILE,
    base_file,
    staged_below,
)
from spark_apps.jobs.stream.tasks import bucket_of_task
from spark_apps.progress import step
from spark_apps.publication import Publication
from spark_apps.registry.versions import HYBRID
from spark_apps.settings import Settings
from spark_apps.storage import StoragePath, read_parquet, write_durably, write_parquet
from spark_apps.streaming.learning import PROFILES as PROFILE_ROWS
from spark_apps.streaming.state import StreamState, bucket_of, buckets_for, stored_centres
from spark_apps.tables import RECOMMENDATIONS, USER_SEGMENTS, DateRange

PRODUCT_COLUMNS = (
    *("product_id", "category_code", "brand", "events", "views", "carts", "purchases", "removals"),
    *("priced", "price_sum", "unique_users", "last_time"),
)
SCORE_COLUMNS = ("segment", "product_id", "score")
# Popular products kept for users without a list: several lists' worth, since what a user bought is left out.
_POPULAR_LISTS = 5


def prepare(spark: SparkSession, settings: Settings, root: StoragePath) -> StreamState:
    """Publishes the state before the first batch.

    Args:
        spark: the session.
        settings: the run's.
        root: folder of the tables and models.

    Raises:
        MissingTableError, MissingModelError: when nothing was trained yet.
        NothingToDoError: when no event is left of those that models were trained on.
    """
    served = versions_in_force(root)
    placement = load_placement(served)
    require_events(root, DateRange())
    applied = read_applied(spark, root, DateRange())  # those of an earlier stream under this root too
    events, number = applied.events, applied.read.batches
    reference = find_reference_of_frame(events, applied.days)
    with Publication(root, [STATE]) as publication:
        with step("Former events") as shown:
            rows = events.count()
            files = BucketFiles.of(root, settings, buckets_for(rows))
            write_bases(events.select(*NEEDED.names), NEEDED, HISTORY, files, root, publication, number)
            shown.done = f"{rows:,} events in {files.buckets} buckets"
        with step("Former lists and segments"):
            write_bases(known_users(spark, root), PROFILE_ROWS, PROFILES, files, root, publication, number)
        with step("Products"):
            first_popular = stage_catalogue(publication, number, product_base(events), served, settings)
        state = StreamState(
            next_batch=number,
            latest=None,
            first_date=reference.first.isoformat(),
            last_date=reference.day.isoformat(),
            buckets=files.buckets,
            bases=(number,) * files.buckets,
            recent=(),
            models=served.versions,
            products_from=number,
            **stored_centres(placement.centres),
            segments=segment_counts(spark, root, placement),
            first_popular=first_popular,
            cleaned=applied.read.cleaned,
        )
        write_durably(publication.stage(STATE_FILE), state.model_dump_json())
        if not number:  # else they are made of the batch log
            publication.stage(CONTENTS).mkdir()
        publication.replace(STATE)
        publication.commit()
    return state


def product_base(events: DataFrame) -> pa.Table:
    """Returns the products of events: columns of PRODUCT_COLUMNS."""
    products = newest_descriptions(product_sums(gather(events, leave_out)))
    return products.select(*PRODUCT_COLUMNS).toArrow()  # a row a product: the catalogue


def write_bases(
    rows: DataFrame,
    schema: pa.Schema,
    kind: str,
    files: BucketFiles,
    root: StoragePath,
    publication: Publication,
    batch: int,
) -> None:
    """Writes the base of every bucket that holds all batches before one, from a task of its own."""
    staged = staged_below(publication, root)
    spread = rows.repartitionById(files.buckets, bucket_of(F.col("user_id"), files.buckets))
    spread.select(*schema.names).mapInArrow(
        _base_writer(schema, kind, files, staged, batch), "rows long"
    ).collect()  # buckets


def _base_writer(
    schema: pa.Schema, kind: str, files: BucketFiles, staged: str, batch: int
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def write(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        held = [batch for batch in batches if batch.num_rows]
        rows = pa.Table.from_batches(held).select(schema.names).cast(schema) if held else schema.empty_table()
        files.write(kind, staged, batch, bucket_of_task(), rows)
        yield pa.RecordBatch.from_pydict({"rows": pa.array([len(rows)])})

    return write


def known_users(spark: SparkSession, root: StoragePath) -> DataFrame:
    """Returns segment and list of each user as the last training left them: the columns of learning.PROFILES."""
    places = F.array_sort(F.collect_list(F.struct("rank", "product_id")))
    recommended = read_table(spark, root, RECOMMENDATIONS)
    lists = recommended.groupBy("user_id").agg(places.getField("product_id").alias("listed"))
    known = read_table(spark, root, USER_SEGMENTS).select("user_id", "segment")
    both = known.join(lists, on="user_id", how="left")
    return both.select("user_id", "segment", "listed", F.col("listed").alias("first_listed"))


def segment_counts(spark: SparkSession, root: StoragePath, placement: Placement) -> dict[str, int]:
    """Returns the users of each segment as the last training left them."""
    counted = read_table(spark, root, USER_SEGMENTS).groupBy("segment").count().collect()  # a row a segment
    counts = {row["segment"]: row["count"] for row in counted}
    return {name: counts.get(name, 0) for name in placement.names.values()}


def stage_catalogue(
    publication: Publication, batch: int, products: pa.Table, served: Served, settings: Settings
) -> tuple[int, ...]:
    """Stages the bases of products and scores, which the driver holds as catalogue anyway.

    Args:
        publication: where they are staged.
        batch: the first one that they do not hold.
        products: columns of PRODUCT_COLUMNS.
        served: the versions whose scores are taken.
        settings: the length of lists.

    Returns:
        Products popular now, the first first.
    """
    scores = read_parquet(served.folders[HYBRID] / SEGMENT_SCORES, SCORE_COLUMNS)
    for kind, rows in ((PRODUCTS, products), (SCORES, scores)):
        write_parquet(publication.stage(base_file(kind, batch)), rows)
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
