"""What a stream recommends with: the models of the training, with the products that it has seen since (SPEC T3, R4)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from spark_apps.engine.base import Engine, Shared
from spark_apps.features.grouping import grouped, summed
from spark_apps.features.products import merge_descriptions
from spark_apps.jobs.stream.models import Served, load_recommender, popular
from spark_apps.jobs.stream.preparation import PRODUCT_COLUMNS, SCORE_COLUMNS, catalogue_of
from spark_apps.jobs.stream.state_store import StateStore
from spark_apps.settings import Settings
from spark_apps.storage import StoragePath, open_parquet, write_parquet
from spark_apps.storage.transaction import Transaction
from spark_apps.streaming.scoring import Models
from spark_apps.streaming.state import StreamState
from spark_apps.tables import PRODUCTS, SCORES, STREAM_PRODUCTS, base_file, batch_file, gains_file


class Serving:
    """The recommending models in force, handed to the tasks, and the products that are known.

    The driver holds the catalogue: some 100 bytes a product, and 4 for each number of its factor.
    """

    def __init__(
        self, engine: Engine, settings: Settings, store: StateStore, served: Served, state: StreamState
    ) -> None:
        """Loads the models as the state has them, after a restart too."""
        self._engine, self._settings, self._store, self._served = engine, settings, store, served
        self._load(state)

    def _load(self, state: StreamState) -> None:
        models = models_of(self._store.root, self._served, state, self._settings)
        self.models: Shared[Models] = self._engine.share(models)
        self.popular = popular(models, len(state.first_popular))
        self._known = np.sort(models.hybrid.catalogue.ids)
        for batch in range(state.products_from, state.next_batch):
            self.note(increments(self._store.root, batch))

    def note(self, products: pa.Table) -> int:
        """Notes the products of a batch; returns how many of them are new."""
        new = np.setdiff1d(products["product_id"].to_numpy(), self._known)
        self._known = np.union1d(self._known, new)
        return len(new)

    def refreshed(self, state: StreamState) -> StreamState:
        """Takes what was seen since the last time into products and scores, publishes them, and serves with them.

        Args:
            state: before a batch.

        Returns:
            The state with new bases.
        """
        since, now = state.products_from, state.next_batch
        after = state.model_copy(update={"products_from": now})
        with self._store.change(now) as change:
            products = merged_products(self._store.root, since, now)
            for kind, rows in ((PRODUCTS, products), (SCORES, self._scores(since, now))):
                write_parquet(change.transaction.stage(base_file(kind, now)), rows)
            replace_catalogue(change.transaction, since, now)
            change.commit(after)
        self.close()
        self._load(after)
        return after

    def close(self) -> None:
        """Frees what the executors hold."""
        self.models.release()

    def _scores(self, since: int, now: int) -> pa.Table:
        base = read_file(self._store.root / base_file(SCORES, since), SCORE_COLUMNS)
        paths = [self._store.root / gains_file(batch) for batch in range(since, now)]
        parts = [read_file(path, SCORE_COLUMNS).cast(base.schema) for path in paths if path.exists()]
        return grouped(pa.concat_tables([base, *parts]), ["segment", "product_id"], summed("score"))


def models_of(root: StoragePath, served: Served, state: StreamState, settings: Settings) -> Models:
    """Loads what recommends, with the products and scores that a state says.

    Args:
        root: folder of the tables.
        served: the versions that the state names.
        state: of the stream.
        settings: how many popular products are kept.
    """
    products = read_file(root / base_file(PRODUCTS, state.products_from), PRODUCT_COLUMNS)
    scores = read_file(root / base_file(SCORES, state.products_from), SCORE_COLUMNS)
    return load_recommender(served, catalogue_of(products), scores, settings)


def merged_products(root: StoragePath, since: int, now: int) -> pa.Table:
    """Adds what batches brought to the products' base; one row a product, in the order of their ids."""
    base = read_file(root / base_file(PRODUCTS, since), PRODUCT_COLUMNS)
    parts = [increments(root, batch).select(PRODUCT_COLUMNS).cast(base.schema) for batch in range(since, now)]
    return merge_descriptions(pa.concat_tables([base, *parts]))


def replace_catalogue(transaction: Transaction, since: int, now: int) -> None:
    """Has staged bases of products and scores take the place of the former ones, and of what batches added to them."""
    for kind in (PRODUCTS, SCORES):
        transaction.replace(base_file(kind, now))
        if since != now:
            transaction.remove(base_file(kind, since))
    for batch in range(since, now):
        transaction.remove(gains_file(batch))


def read_file(path: StoragePath, columns: Sequence[str]) -> pa.Table:
    """Reads columns of one small Parquet file."""
    return open_parquet(path).read(columns=list(columns))


def increments(root: StoragePath, batch: int) -> pa.Table:
    """Returns what a batch added to its products; nothing for a file that was refused."""
    path = root / batch_file(STREAM_PRODUCTS.path, batch)
    if not path.exists():
        return pa.table({name: [] for name in PRODUCT_COLUMNS})
    return read_file(path, PRODUCT_COLUMNS)
