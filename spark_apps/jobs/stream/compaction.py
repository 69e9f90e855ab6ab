"""Makes bases of buckets anew with what the latest batches brought, between two batches: no file waits for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from spark_apps.engine.base import Engine, Task
from spark_apps.jobs.stream.buckets import BucketFiles
from spark_apps.jobs.stream.paths import claims, replace_bucket_bases, stage_state, staged_below
from spark_apps.runtime.memory import release_unused
from spark_apps.storage import StoragePath
from spark_apps.storage.transaction import Transaction
from spark_apps.streaming.state import StreamState
from spark_apps.tables import HISTORY, PROFILES


@dataclass(frozen=True)
class _About:
    """What tasks need: the files, the state between two batches, and where bases are put (see paths.staged_below)."""

    files: BucketFiles
    state: StreamState
    staged: str


def renew_bases(engine: Engine, root: StoragePath, state: StreamState, buckets: Sequence[int]) -> StreamState:
    """Makes the bases of some buckets anew and publishes them.

    Args:
        engine: reads and writes.
        root: folder of the tables.
        state: between two batches.
        buckets: which.

    Returns:
        The state that names them.
    """
    now = state.next_batch
    bases = tuple(now if bucket in buckets else base for bucket, base in enumerate(state.bases))
    after = state.model_copy(
        update={"bases": bases, "recent": tuple(one for one in state.recent if one.batch >= min(bases))}
    )
    with Transaction(root, claims(now)) as transaction:
        about = _About(BucketFiles(root, state.buckets), state, staged_below(transaction, root))
        engine.map(_renew, [(kind, bucket) for kind in (HISTORY, PROFILES) for bucket in buckets], shared=about)
        replace_bucket_bases(transaction, state, buckets)
        stage_state(transaction, after)
        transaction.commit()
    return after


def _renew(task: Task) -> None:
    """Writes a base anew. Item: its kind and bucket. Shared: _About."""
    about: _About = task.shared
    kind, bucket = task.item
    about.files.in_task().renew(kind, about.staged, about.state, bucket)
    release_unused()
