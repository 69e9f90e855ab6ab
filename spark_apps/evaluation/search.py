"""A seeded search for the parameters with the highest figure, by Optuna."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.distributions import BaseDistribution

Space = Mapping[str, BaseDistribution]
Point = dict[str, Any]
# Of all points, so large a share is drawn by chance before the sampler learns from what it saw.
_BY_CHANCE = 3


@dataclass(frozen=True)
class Found:
    """A point that was tried, and its figure."""

    point: Point
    figure: float


def maximise(
    space: Space, starts: Sequence[Point], points: int, seed: int, figure_of: Callable[[Point], float]
) -> list[Found]:
    """Tries points: first the given ones, then those that a sampler expects most of.

    The sampler is the tree-structured Parzen estimator: Bergstra et al., "Algorithms for Hyper-Parameter
    Optimization", NIPS 2011.

    Args:
        space: the range of every parameter.
        starts: points to try first, also outside of the ranges; one that comes again is tried once.
        points: how many to try altogether, the starts among them.
        seed: of the sampler: the same seed and figures give the same points.
        figure_of: gives a point's figure.

    Returns:
        All points that were tried, in that order.
    """
    distinct = [point for place, point in enumerate(starts) if point not in starts[:place]][:points]
    found = [Found(point, figure_of(point)) for point in distinct]
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    by_chance = min(10, max(1, points // _BY_CHANCE))
    sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=by_chance)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    for _ in range(points - len(found)):
        trial = study.ask(dict(space))
        point = {name: _short(value) for name, value in trial.params.items()}
        found.append(Found(point, figure_of(point)))
        study.tell(trial, found[-1].figure)
    return found


def _short(value: Any) -> Any:
    """Four digits say enough, and fit on a command line."""
    return float(f"{value:.4g}") if isinstance(value, float) else value


def best_of(found: Sequence[Found]) -> Found:
    """Returns the one with the highest figure, of equals the first."""
    return max(found, key=lambda one: one.figure)
