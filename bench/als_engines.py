"""The engines of ALS beside the library implicit on its own, on the same interactions: `make bench-als`.

Models learn from the first share of generated events and are judged by Recall@20 over the whole catalogue: what users
touched first afterwards, products seen before left out. Implicit on its own is called as its documentation does,
without Spark, and makes its own lists. Prints a table and writes JSON.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from implicit.cpu.als import AlternatingLeastSquares
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from spark_apps.engine.base import Engine, Relation
from spark_apps.engine.opening import cores, open_engine
from spark_apps.evaluation.metrics import recall
from spark_apps.jobs import clean, evaluate, generate, load
from spark_apps.jobs.train.factors import Fitting, number_ids, trial_factors
from spark_apps.recommendation.als import RATED
from spark_apps.recommendation.topn import Exclusions, ItemFactors, factor_matrix, top_products
from spark_apps.settings import AlsLibrary, Settings, load_settings
from spark_apps.storage import read_parquet
from spark_apps.storage.transaction import Transaction
from spark_apps.tables import EVENTS, DateRange

SEED, MONTH, K = 42, "2019-10", 20
# What share of the recall of implicit on its own each engine is meant to reach.
LEAST = {"implicit": 0.98, "mllib": 0.95}
Lists = NDArray[np.int64]


@dataclass(frozen=True)
class Ground:
    """The same for all contestants: numbers stand for users and products.

    Attributes:
        fitting: the training interactions, as ALS is fitted to them.
        user_ids: of the training users, rising.
        product_ids: of the training products, rising.
        scores: the training interactions as a matrix, users x products.
        users: numbers of the users to judge, rising.
        relevant: users to judge x products: what each touched first after the split.
        unknown: products per user that training never saw; no model can list them, and they count as missed.
    """

    fitting: Fitting
    user_ids: NDArray[np.int64]
    product_ids: NDArray[np.int64]
    scores: csr_matrix
    users: NDArray[np.int64]
    relevant: csr_matrix
    unknown: NDArray[np.int64]

    def recall(self, lists: Lists) -> float:
        """Returns the mean Recall@K of lists, one per user to judge, -1 for a missing place."""
        rows = np.repeat(np.arange(len(lists)), lists.shape[1])
        hits = np.asarray(self.relevant[rows, np.maximum(lists, 0).reshape(-1)]).reshape(lists.shape) > 0
        number = np.diff(self.relevant.indptr) + self.unknown
        return float(recall(hits & (lists >= 0), number).mean())


@click.command()
@click.option("--events", type=int, default=300_000, show_default=True, help="Synthetic events.")
@click.option("--users", type=int, default=20_000, show_default=True, help="Most users to judge by.")
@click.option("--share", type=float, default=0.8, show_default=True, help="First share of the events, to learn from.")
@click.option("--work", type=click.Path(path_type=Path), default=Path("data/bench"), show_default=True)
@click.option("--only", multiple=True, type=click.Choice(["own", *LEAST]), help="May be repeated.  [default: all]")
def main(events: int, users: int, share: float, work: Path, only: tuple[str, ...]) -> None:
    """Compare Recall@20 of implicit on its own and of both engines."""
    root = work / f"als-{events}"
    settings = load_settings(root=str(root), engine="spark", evaluation_users=users, evaluation_share=share)
    with open_engine(settings, "bench") as engine, Transaction(root, []) as transaction:
        _clean_events(engine, settings, events, work)
        ground = _ground(evaluate.Run(engine, settings, transaction))
        contestants: dict[str, Callable[[], Lists]] = {
            "own": lambda: _own(ground, settings),
            "implicit": lambda: _engine(ground, settings, "implicit"),
            "mllib": lambda: _engine(ground, settings, "mllib"),
        }
        found = {name: _judged(ground, lists) for name, lists in contestants.items() if not only or name in only}
    record = {"events": events, "users": len(ground.users), "als": settings.als.model_dump(), "results": found}
    target = work / f"als-engines-{events}.json"
    target.write_text(json.dumps(record, indent=1), encoding="utf-8")
    _print(events, len(ground.users), found)
    click.echo(f"Written to {target}")


def _clean_events(engine: Engine, settings: Settings, events: int, work: Path) -> None:
    root = Path(settings.root)
    if (root / EVENTS.path).exists():
        return
    log = generate.run(events, MONTH, SEED, None, 0.0, work, compress=False)
    load.run(root, [log])
    clean.run(engine, root, DateRange())


def _ground(run: evaluate.Run) -> Ground:
    split = evaluate.split_in_time(run, evaluate.Events.of(Path(run.settings.root), run.transaction))
    tables, learned = split.tables, split.learned
    pairs = _read(tables.interactions.select(*RATED))
    user_ids, rows = np.unique(pairs.column("user_id").to_numpy(), return_inverse=True)
    product_ids, columns = np.unique(pairs.column("product_id").to_numpy(), return_inverse=True)
    scores = pairs.column("score").to_numpy()
    indexes = number_ids(run.engine, run.transaction, tables.users, tables.products)
    held = _read(learned.held.select("user_id", "product_id"))
    held = held.filter(pc.is_in(held["user_id"], learned.users))
    judged, held_rows = np.unique(held.column("user_id").to_numpy(), return_inverse=True)
    wanted = held.column("product_id").to_numpy()
    places = np.minimum(np.searchsorted(product_ids, wanted), len(product_ids) - 1)
    known = product_ids[places] == wanted
    return Ground(
        Fitting(run.engine, run.transaction, learned, indexes, split.size),
        user_ids,
        product_ids,
        csr_matrix((scores, (rows, columns)), shape=(len(user_ids), len(product_ids))),
        np.searchsorted(user_ids, judged),
        csr_matrix((np.ones(known.sum()), (held_rows[known], places[known])), shape=(len(judged), len(product_ids))),
        np.bincount(held_rows[~known], minlength=len(judged)),
    )


def _read(relation: Relation) -> pa.Table:
    """All rows of the one folder that the files are in."""
    return read_parquet(relation.files[0].parent, relation.schema.names)


def _own(ground: Ground, settings: Settings) -> Lists:
    """Implicit without anything of ours: its fit on the scores as they are, its lists."""
    liked = ground.scores.maximum(0).astype(np.float32)
    with threadpool_limits(1, "blas"):
        model = AlternatingLeastSquares(
            factors=settings.als.rank,
            iterations=settings.als.iterations,
            regularization=settings.als.regularization,
            alpha=settings.als.alpha,
            num_threads=cores(),
            random_state=SEED,
        )
        model.fit(liked, show_progress=False)
        seen = ground.scores[ground.users].astype(np.float32)
        lists, _ = model.recommend(ground.users, seen, N=K, filter_already_liked_items=True)
    return np.asarray(lists, np.int64)


def _engine(ground: Ground, settings: Settings, library: AlsLibrary) -> Lists:
    """ALS as `shopstream train` fits it, and its lists as the ALS part makes them."""
    chosen = settings.model_copy(update={"als_library": library})
    ids = pa.array(ground.user_ids[ground.users])
    _, users, items = trial_factors(ground.fitting, chosen, settings.als, ids)
    of_user = np.zeros((len(ids), settings.als.rank), np.float32)
    known, user_factors = _factors(users)
    of_user[np.searchsorted(ids.to_numpy(), known)] = user_factors
    item_ids, item_factors = _factors(items)
    places = np.searchsorted(ground.product_ids, item_ids)
    seen = ground.scores[ground.users]
    excluded = Exclusions(seen.indptr.astype(np.int64), seen.indices.astype(np.int64))
    lists = top_products(of_user, ItemFactors.sorted(places, item_factors), excluded, K)
    return np.where(np.isfinite(lists.scores), lists.ids, -1)


def _factors(table: pa.Table) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    return table.column(0).to_numpy(), factor_matrix(table.column("features"), len(table))


def _judged(ground: Ground, lists: Callable[[], Lists]) -> dict[str, Any]:
    began = time.monotonic()
    found = lists()
    return {"recall": round(ground.recall(found), 6), "seconds": round(time.monotonic() - began, 1)}


def _print(events: int, users: int, found: dict[str, dict[str, Any]]) -> None:
    table = Table(title=f"{events:,} synthetic events, {users:,} users")
    for column in ("ALS by", f"Recall@{K}", "of implicit's own", "at least", "seconds"):
        table.add_column(column, justify="left" if column == "ALS by" else "right")
    own = found["own"]["recall"] if "own" in found else None
    for name, one in found.items():
        part = f"{one['recall'] / own:.1%}" if own else "-"
        least = f"{LEAST[name]:.0%}" if name in LEAST else "-"
        table.add_row(name, f"{one['recall']:.4f}", part, least, f"{one['seconds']:.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
