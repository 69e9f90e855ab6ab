"""How long one user's answer takes a model that is loaded: `python -m bench.answers ROOT`.

ROOT is the root of a training. Users are drawn with a seed; reading a user's rows is not model work and stands apart.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.console import Console
from rich.table import Table

from spark_apps.jobs.recommend import answer, read_user
from spark_apps.jobs.train.hybrid import load_hybrid, weights_of
from spark_apps.registry.serving import current
from spark_apps.registry.versions import ALS, HYBRID
from spark_apps.settings import Settings
from spark_apps.storage import read_parquet
from spark_apps.tables import USER_SEGMENTS


@click.command()
@click.argument("root", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--users", type=int, default=200, show_default=True, help="Users to answer.")
@click.option("--seed", type=int, default=42, show_default=True)
def main(root: Path, users: int, seed: int) -> None:
    """Time loading the models, reading users and answering them."""
    settings = Settings(root=str(root))
    (als, _), (hybrid, metadata) = current(root, ALS), current(root, HYBRID)
    started = time.perf_counter()
    model = load_hybrid(hybrid, als, metadata.segments, weights_of(metadata), settings.popular_kept)
    loading = time.perf_counter() - started
    everybody = read_parquet(root / USER_SEGMENTS.path, ["user_id"]).column("user_id").to_pylist()
    drawn = random.Random(seed).sample(everybody, min(users, len(everybody)))
    known, reading = _timed(lambda user: read_user(root, als, user), drawn)
    answer(model, metadata.segments, known[0], settings, settings.top)  # the first derives what the others share
    _, answering = _timed(lambda user: answer(model, metadata.segments, user, settings, settings.top), known)
    _print(len(model.catalogue), loading, {"reading a user": reading, "model work": answering})


def _timed(action: Callable[[Any], Any], inputs: list[Any]) -> tuple[list[Any], list[float]]:
    results, milliseconds = [], []
    for one in inputs:
        started = time.perf_counter()
        results.append(action(one))
        milliseconds.append(1000 * (time.perf_counter() - started))
    return results, milliseconds


def _print(products: int, loading: float, timed: dict[str, list[float]]) -> None:
    table = Table(title=f"{products:,} products, loaded in {loading:.2f} s; milliseconds")
    for name in ("what", "median", "95 %", "longest"):
        table.add_column(name, justify="left" if name == "what" else "right")
    for what, values in timed.items():
        table.add_row(what, *(f"{np.percentile(values, part):.1f}" for part in (50, 95, 100)))
    Console().print(table)


if __name__ == "__main__":
    main()
