"""Whether the same segments come out again: with other seeds, and from bootstrap samples (adjusted Rand index)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spark_apps.results import Result
from spark_apps.segmentation.clusters import Clustering, Users
from spark_apps.segmentation.inputs import Floats
from spark_apps.segmentation.local import fit_locally
from spark_apps.segmentation.sampling import Coreset
from spark_apps.segmentation.sums import nearest

REPEATS = 3


class Agreement(Result):
    """Adjusted Rand indices with the segments: 1 = the same groups, 0 = as alike as by chance."""

    mean: float
    lowest: float


class Stability(Result):
    """How far refits agree with the segments.

    users: compared, a sample; repeats: refits of either kind.
    """

    users: int
    repeats: int
    other_seed: Agreement
    bootstrap: Agreement


def stability(users: Users, clustering: Clustering, seed: int) -> Stability | None:
    """Finds centres anew, and compares where they put sampled users with where the model puts them.

    An estimate for all users from a sample of them. The refits are the first half of `clusters.fit_clusters`: they end
    with the centres of the coreset (drawn anew with replacement for the bootstrap), from which the passes over all
    users only start. So the segments are rather more stable than the figures.

    Args:
        users: with the sample that is compared, and the coreset.
        clustering: of all users.
        seed: that of the fit; those after it are tried.

    Returns:
        None for a single cluster.
    """
    centres, coreset = clustering.centres, users.coreset
    if len(centres) < 2:
        return None
    points = clustering.scale.standardised(users.sample)
    seeds = range(seed + 1, seed + 1 + REPEATS)
    others = [fit_locally(coreset.points, len(centres), other, coreset.weights).centres for other in seeds]
    drawn = [_refit_to_a_draw(coreset, len(centres), other) for other in seeds]
    return Stability(
        users=len(points),
        repeats=REPEATS,
        other_seed=_agreement(points, centres, others),
        bootstrap=_agreement(points, centres, drawn),
    )


def _refit_to_a_draw(coreset: Coreset, k: int, seed: int) -> Floats:
    """The centres of as many points, drawn with replacement."""
    draw = np.random.default_rng(seed).integers(len(coreset.points), size=len(coreset.points))
    return fit_locally(coreset.points[draw], k, seed, coreset.weights[draw]).centres


def _agreement(points: Floats, centres: Floats, refits: Sequence[Floats]) -> Agreement:
    from sklearn.metrics import adjusted_rand_score  # late: a second that other commands need not wait

    placed = nearest(centres, points)
    indices = [float(adjusted_rand_score(placed, nearest(refit, points))) for refit in refits]
    return Agreement(mean=float(np.mean(indices)), lowest=min(indices))
