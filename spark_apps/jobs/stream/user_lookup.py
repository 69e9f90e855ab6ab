"""What the stream knows of one user after its last batch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa

from spark_apps.engine.database import Database, Limits
from spark_apps.jobs.stream.models import versions_in_force
from spark_apps.jobs.stream.serving import models_of
from spark_apps.jobs.stream.state_store import StateStore
from spark_apps.settings import Settings
from spark_apps.storage import StoragePath
from spark_apps.streaming.scoring import Models
from spark_apps.streaming.user_update import touched_by

_TOUCHED = ("product_id", "score", "purchases", "interaction_count")


@dataclass(frozen=True)
class NewestUser:
    """A user of the stream.

    Attributes:
        models: of the stream, with the products that it has seen.
        touched: product_id, score, purchases and interaction_count, as in the table of interactions.
        segment: None where no batch and no training placed the user.
    """

    models: Models
    touched: pa.Table
    segment: str | None


def newest_user(root: StoragePath, settings: Settings, user_id: int, trained_events: int) -> NewestUser | None:
    """Reads a user whom the stream has seen since the training.

    Args:
        root: folder of the tables and models.
        settings: the run's.
        user_id: any 64-bit integer.
        trained_events: events of the user that the tables of the training hold.

    Returns:
        None where the stream knows of no further event, or has yet to take over the models in force.
    """
    store = StateStore(root)
    state = store.read()
    if state is None:
        return None
    served = versions_in_force(root)
    if state.models != served.versions:
        return None
    history, profiles = store.user(state, user_id)
    if len(history) <= trained_events:
        return None
    segment = profiles["segment"][0].as_py() if len(profiles) else None
    with TemporaryDirectory() as folder, Database(Limits(1, settings.memory, Path(folder) / "spill")) as database:
        touched = touched_by(database, history, settings.scores).select(_TOUCHED)
    return NewestUser(models_of(root, served, state, settings), touched, segment)
