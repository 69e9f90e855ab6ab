"""`shopstream train --tune`: the ALS parameters and blend weights that best guess the products held back (SPEC R1, R3).

Two levels: a trial fits ALS once, as training does, and finds what the hybrid proposes to the users whose last product
is held back; on these candidates the weights are searched without another fit (decision 10).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from optuna.distributions import FloatDistribution, IntDistribution

from spark_apps.engine.base import Relation
from spark_apps.errors import NothingToLearnError
from spark_apps.evaluation.candidates import candidates, mean_ndcg
from spark_apps.evaluation.compared import TrialFigures, TuningFigures
from spark_apps.evaluation.protocol import EVALUATED_USERS, held_out_of
from spark_apps.evaluation.search import Found, Point, Space, best_of, maximise
from spark_apps.jobs.train.factors import Fitting, trial_factors
from spark_apps.jobs.train.validation import gather_evaluated
from spark_apps.progress import trial_step
from spark_apps.recommendation.als import USER_FACTORS
from spark_apps.recommendation.catalogue import Catalogue
from spark_apps.recommendation.histories import Histories
from spark_apps.recommendation.hybrid import HybridRecommender
from spark_apps.recommendation.lists import histories_of
from spark_apps.recommendation.recommenders import AlsRecommender
from spark_apps.recommendation.topn import ItemFactors, factor_matrix
from spark_apps.settings import AlsParameters, BlendWeights, Settings
from spark_apps.storage import read_parquet

_ROWS = "tuned"

FACTORS: Space = {
    "rank": IntDistribution(16, 128, step=16),
    "iterations": IntDistribution(5, 20),
    "regularization": FloatDistribution(0.01, 10.0, log=True),
    "alpha": FloatDistribution(0.5, 50.0, log=True),
}
WEIGHTS: Space = {
    "affinity": FloatDistribution(0.0, 1.0),
    "content": FloatDistribution(0.0, 2.0),
    "popularity": FloatDistribution(0.0, 0.5),
    "segment": FloatDistribution(0.0, 0.5),
}
# Weights tried per fit of ALS: some 10 ms each for 2,000 users.
WEIGHT_TRIALS = 60
_DIGITS = 6


@dataclass(frozen=True)
class Trial:
    """One fit of ALS, the best weights for it, and the NDCG@10 of the hybrid of both."""

    als: AlsParameters
    blend: BlendWeights
    ndcg: float

    def described(self, number: int) -> TrialFigures:
        """As it stands in the metadata, with its place among the trials."""
        return TrialFigures(trial=number, **self.als.model_dump(), blend=self.blend.model_dump(), ndcg=self.ndcg)


@dataclass(frozen=True)
class Tuning:
    """What was tried and on how many users; the trial number 0 starts from the given parameters.

    Attributes:
        trials: in the order in which they were made.
        given: NDCG@10 of the given parameters with the given weights.
        users: whose product was held back.
        seed: of the search.
        seconds: mean per trial; not in the metadata, where the same data and seed give the same figures.
    """

    trials: list[Trial]
    given: float
    users: int
    seed: int
    seconds: float

    @property
    def best(self) -> Trial:
        """The trial with the highest NDCG@10, of equals the first."""
        return max(self.trials, key=lambda trial: trial.ndcg)

    def described(self) -> TuningFigures:
        """As it stands in the metadata: at most as many trials as were asked for."""
        trials = [trial.described(number) for number, trial in enumerate(self.trials)]
        best = trials[self.trials.index(self.best)]
        return TuningFigures(best=best, given_ndcg=self.given, users=self.users, seed=self.seed, trials=trials)


@dataclass(frozen=True)
class Ground:
    """What all trials share.

    Attributes:
        fitting: what ALS is fitted to.
        users: whose product is held back, their factors missing.
        held: place of each one's product held back.
        model: the hybrid, its factors missing.
    """

    fitting: Fitting
    users: Histories
    held: NDArray[np.int64]
    model: HybridRecommender


def ground(fitting: Fitting, segments: Relation, model: HybridRecommender, names: list[str]) -> Ground:
    """Gathers what all trials share.

    Brings to this process what the drawn users touched (at most Settings.validation_users of them).

    Args:
        fitting: what ALS is fitted to.
        segments: columns of schemas.USER_SEGMENTS.
        model: a hybrid made from what was learned; its factors do not matter.
        names: of the segments, in the order of the model's tastes.
    """
    nobody, folder = Relation((), USER_FACTORS), fitting.transaction.scratch(_ROWS)
    gather_evaluated(fitting.engine, fitting.learned, segments, nobody, folder)
    rows = read_parquet(folder, EVALUATED_USERS.names).sort_by("user_id")
    (block,) = rows.combine_chunks().to_batches()
    catalogue = model.catalogue
    return Ground(fitting, histories_of(block, catalogue, names, 0), held_out_of(block, catalogue).last, model)


def tune(settings: Settings, shared: Ground, trials: int) -> Tuning:
    """Searches the parameters.

    Args:
        settings: the seed, and the parameters to start from: the first trial fits them.
        shared: from `ground`.
        trials: how many fits of ALS.
    """
    tried: list[Trial] = []
    given: list[float] = []
    began = time.monotonic()
    with trial_step("Tuning", trials) as (shown, told):

        def figure_of(point: Point) -> float:
            parameters = AlsParameters(**point)
            weighed = _weigh(settings, shared, parameters, [trial.blend for trial in tried])
            best = best_of(weighed)
            given[:] = given or [round(weighed[0].figure, _DIGITS)]
            tried.append(Trial(parameters, BlendWeights(**best.point), round(best.figure, _DIGITS)))
            seconds = (time.monotonic() - began) / len(tried)
            told(f"NDCG@10 {max(trial.ndcg for trial in tried):.4f}, {seconds:.1f} s a trial")
            return best.figure

        maximise(FACTORS, [settings.als.model_dump()], trials, settings.seed, figure_of)
        seconds = (time.monotonic() - began) / len(tried)
        tuning = Tuning(tried, given[0], len(shared.users), settings.seed, seconds)
        shown.done = f"{trials} trials of {seconds:.1f} s, NDCG@10 from {tuning.given:.4f} to {tuning.best.ndcg:.4f}"
    return tuning


def _weigh(settings: Settings, shared: Ground, parameters: AlsParameters, earlier: list[BlendWeights]) -> list[Found]:
    """Fits ALS once and tries weights: first the given ones, then those found best for the last fit."""
    users, model = _fitted(settings, shared, parameters)
    blocks = candidates(model, users, shared.held)
    starts = [settings.blend.model_dump(), *(blend.model_dump() for blend in earlier[-1:])]
    return maximise(
        WEIGHTS, starts, WEIGHT_TRIALS, settings.seed, lambda point: mean_ndcg(blocks, BlendWeights(**point))
    )


def _fitted(settings: Settings, shared: Ground, parameters: AlsParameters) -> tuple[Histories, HybridRecommender]:
    """Fits ALS and gives users and model their factors."""
    _, users, items = trial_factors(shared.fitting, settings, parameters, pa.array(shared.users.users))
    if not len(items):
        raise NothingToLearnError
    return (
        replace(shared.users, factors=_user_factors(shared.users, users, parameters.rank)),
        replace(shared.model, als=_by_als(shared.model.catalogue, items)),
    )


def _by_als(catalogue: Catalogue, items: pa.Table) -> AlsRecommender:
    places, _ = catalogue.places(items.column("product_id").to_numpy())
    return AlsRecommender(
        ItemFactors.sorted(places, factor_matrix(items.column("features"), len(items))), len(catalogue)
    )


def _user_factors(users: Histories, found: pa.Table, rank: int) -> NDArray[np.float32]:
    """Factors in the order of the users, who rise; zeros for those without."""
    factors = np.zeros((len(users), rank), np.float32)
    rows = np.searchsorted(users.users, found.column("user_id").to_numpy())
    factors[rows] = factor_matrix(found.column("features"), len(found)).reshape(-1, rank)
    return factors
