"""The unit of a batch: a task reads the files of some buckets, learns, answers, and writes the outcome (SPEC T3)."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from datetime import date

import pyarrow as pa

from spark_apps.engine.base import Shared, Task
from spark_apps.engine.published import stored_schema
from spark_apps.features.units import FeatureOptions
from spark_apps.jobs.stream.lines import numbered
from spark_apps.jobs.stream.state_store import Known, StateStore
from spark_apps.recommendation.lists import USERS_PER_BLOCK
from spark_apps.runtime.memory import release_unused
from spark_apps.segmentation.rfm import Cuts
from spark_apps.settings import Settings
from spark_apps.streaming.figures import Answered
from spark_apps.streaming.scoring import Models, answer, list_rows
from spark_apps.streaming.segment_assignment import Placing
from spark_apps.streaming.state import StreamState
from spark_apps.streaming.user_update import InForce, learn
from spark_apps.tables import STREAM_RECOMMENDATIONS, STREAM_USERS

USERS, LISTS = stored_schema(STREAM_USERS), stored_schema(STREAM_RECOMMENDATIONS)
# figures.Answered, pickled
ANSWERED = pa.schema([("answered", pa.binary())])


@dataclass(frozen=True)
class Batch:
    """What the tasks of a batch share.

    Attributes:
        store: of the state.
        events: the batch's own, as paths below the root.
        state: before the batch.
        last, first: the dates that recency counts from and to.
        in_force: for users without a list.
        placing, cuts: how users are placed in segments.
        models: what recommends.
        settings: the run's.
    """

    store: StateStore
    events: tuple[str, ...]
    state: StreamState
    last: date
    first: date | None
    in_force: InForce
    placing: Placing
    cuts: Cuts
    models: Shared[Models]
    settings: Settings


def apply_buckets(task: Task) -> None:
    """Learns what a batch's events say about the users of some buckets, and answers: segments and lists.

    Item: the places of the buckets in the state. Shared: Batch. Outputs: stream_users, stream_recommendations. Gives,
    where there is an event, what `user_update.learn` counted under the names of its tables, `relevance`, and
    `answered`, ANSWERED, a row.
    """
    batch: Batch = task.shared
    for known in batch.store.in_task().known(batch.state, task.item, batch.events):
        _apply(task, batch, known)
    release_unused()


def _apply(task: Task, batch: Batch, known: Known) -> None:
    options = FeatureOptions(batch.last, batch.settings.scores, batch.first)
    learned = learn(task.database, known.fresh, known.history, known.profiles, options, batch.in_force)
    for name, rows in learned.counted.items():
        task.give(name, rows)
    task.give("relevance", learned.relevance)
    models, blocks, figures = batch.models.value(), [], []
    for start in range(0, len(learned.users), USERS_PER_BLOCK):
        users = learned.users.slice(start, USERS_PER_BLOCK)
        placed, answered = answer(users, models, batch.placing, batch.cuts, batch.settings)
        blocks.append(numbered(placed, batch.state.next_batch))
        figures.append(answered)
    task.output(STREAM_USERS.name, USERS, (block.select(USERS.names).cast(USERS) for block in blocks))
    lists = (numbered(list_rows(block), batch.state.next_batch) for block in blocks)
    task.output(STREAM_RECOMMENDATIONS.name, LISTS, (rows.select(LISTS.names).cast(LISTS) for rows in lists))
    task.give("answered", pa.table([pa.array([pickle.dumps(one) for one in figures])], ANSWERED))


def answered_parts(given: pa.Table) -> list[Answered]:
    """Returns the figures that tasks gave; only for bytes of our own tasks."""
    return [pickle.loads(packed) for packed in given[ANSWERED.names[0]].to_pylist()]
