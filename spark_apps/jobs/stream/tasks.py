"""What the tasks of a batch do: each reads one bucket's files, learns, and answers (SPEC T3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
from pyspark import TaskContext

from spark_apps import schemas
from spark_apps.engine.sharing import Shared
from spark_apps.jobs.stream.buckets import BucketFiles
from spark_apps.jobs.stream.places import HISTORY, PROFILES
from spark_apps.memory import release_unused
from spark_apps.recommendation.lists import USERS_PER_BLOCK
from spark_apps.settings import Settings
from spark_apps.streaming.answering import LISTED, Models, answer
from spark_apps.streaming.figures import pack
from spark_apps.streaming.learning import FIGURES, FRESH, InForce, carrying, learn
from spark_apps.streaming.placing import Placing
from spark_apps.streaming.state import StreamState

# users with all that is written of them, and rows without a user that carry figures
ANSWERED = pa.schema(
    [
        *(one for one in schemas.STREAM_USERS if one.name != "batch"),
        *(field for field in LISTED if field.name != "listed"),
        FIGURES,
    ]
)
# what passes Spark's own columns between the two steps
CARRIED = ("products", "scores", "bought", "gains", "old_segment", "first_listed", FIGURES.name)
Step = Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]


@dataclass(frozen=True)
class Learning:
    """What the first step of a batch's tasks needs: see `learning_step`.

    Attributes:
        files: of the buckets.
        state: before the batch.
        staged: where bases are put that are made anew: see `places.staged_below`.
        settings: the run's.
        in_force: for users without a list.
    """

    files: BucketFiles
    state: StreamState
    staged: str
    settings: Settings
    in_force: InForce


def bucket_of_task() -> int:
    """Returns the bucket whose rows this task has: its partition's number, as `repartitionById` puts them."""
    context = TaskContext.get()
    assert context is not None
    return context.partitionId()


def learning_step(about: Learning) -> Step:
    """Returns the first step: a bucket's new events to `learning.LEARNED`, and its base anew where that is due."""

    def step(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        held = [batch for batch in batches if batch.num_rows]
        bucket = bucket_of_task()
        fresh = pa.Table.from_batches(held).select(FRESH.names).cast(FRESH) if held else FRESH.empty_table()
        users = pc.unique(fresh["user_id"])
        if bucket in about.state.due():
            for kind in (HISTORY, PROFILES):
                about.files.renew(kind, about.staged, about.state, bucket)
        past, profiles = about.files.known(about.state, bucket, users)
        if held:
            scores = about.settings.scores
            yield from learn(fresh, past, profiles, scores, about.in_force).combine_chunks().to_batches()

    return _released(step)


def answering_step(models: Shared[Models], placing: Placing, settings: Settings) -> Step:
    """Returns the second step: users with features to users with segments and lists, and figures."""

    def step(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        loaded = models.value()
        for batch in batches:
            rows = pa.Table.from_batches([batch])
            is_user = pc.is_null(rows[FIGURES.name])
            for packed in rows.filter(pc.invert(is_user))[FIGURES.name].to_pylist():
                yield from carrying(ANSWERED, packed).to_batches()
            users = rows.filter(is_user)
            for start in range(0, len(users), USERS_PER_BLOCK):
                placed, figures = answer(users.slice(start, USERS_PER_BLOCK), loaded, placing, settings)
                yield from placed.select(ANSWERED.names).cast(ANSWERED).combine_chunks().to_batches()
                yield from carrying(ANSWERED, pack(figures)).to_batches()

    return _released(step)


def _released(step: Step) -> Step:
    """The step, after which its process holds no more than it needs for the next one."""

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        yield from step(batches)
        release_unused()

    return run
