"""How models compare: what evaluation.json holds, and what a training's own validation and tuning say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from spark_apps.evaluation.bootstrap import Estimate
from spark_apps.results import Result

# model -> measure -> figure
Figures = dict[str, dict[str, Estimate]]


class Conditions(Result):
    """How models were compared.

    k: places of a list; negatives: of a sampled measure; users_evaluated: users whose products were held back; cutoff:
    end of the events that models learned from, by `shopstream evaluate`; without it the figures are those of the
    training's own validation.
    """

    k: int | None = None
    negatives: int | None = None
    users_evaluated: int | None = None
    cutoff: str | None = None


class Comparison(Result):
    """How models compare.

    judged: the model whose lead over the others is in differences; differences: of each other model, the judged one's
    figures minus its own, paired by user.
    """

    comparison: Figures = Field(default_factory=dict)
    judged: str | None = None
    differences: Figures = Field(default_factory=dict)
    conditions: Conditions = Conditions()


class Interval(Result):
    """Of the figures: its level, 0 to 1, and the number of resamples."""

    level: float
    resamples: int


class TrainingSize(Result):
    """What models learned from."""

    users: int
    products: int
    interactions: int


class Evaluation(Result):
    """What `shopstream evaluate` finds: how it was measured, figures of each model, None where it has none.

    share: of the events, before the cutoff; differences: figures of the judged model minus each other's.
    """

    evaluated_at: str
    code_version: str
    seed: int
    share: float
    cutoff: str
    k: int
    negatives: int
    interval: Interval
    training: TrainingSize
    users_with_new_products: int
    users_evaluated: int
    models: dict[str, dict[str, Estimate | None]]
    judged: str
    differences: dict[str, dict[str, Estimate | None]]

    def comparison(self) -> Comparison:
        """Returns the figures that there are."""
        return Comparison(
            comparison=_known(self.models),
            judged=self.judged,
            differences=_known(self.differences),
            conditions=Conditions(
                k=self.k, negatives=self.negatives, users_evaluated=self.users_evaluated, cutoff=self.cutoff
            ),
        )


class TrialFigures(Result):
    """Parameters that were tried, the weights that served them best, and the hybrid's NDCG@10 with both."""

    trial: int
    rank: int
    iterations: int
    regularization: float
    alpha: float
    blend: dict[str, float]
    ndcg: float


class TuningFigures(Result):
    """What a tuning tried on the last product of some users.

    given_ndcg: NDCG@10 of the parameters that were given; seed: of the search.
    """

    best: TrialFigures
    trials: list[TrialFigures]
    given_ndcg: float
    users: int
    seed: int | None = None


def measured_models(validation: Any) -> Figures:
    """Picks the figures out of a training's validation, where other things may stand beside them.

    Args:
        validation: from a model's metadata, of this or an older version, whatever it is.
    """
    if not isinstance(validation, Mapping):
        return {}
    models = {name: figures for name, figures in validation.items() if isinstance(figures, Mapping)}
    found = {
        name: {measure: _estimate(figure) for measure, figure in figures.items()} for name, figures in models.items()
    }
    return _known(found)


def _estimate(figure: Any) -> Estimate | None:
    value = figure.get("value") if isinstance(figure, Mapping) else None
    return Estimate.model_validate(figure) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _known(models: Mapping[str, Mapping[str, Estimate | None]]) -> Figures:
    """Leaves out figures that are not there, and models without one."""
    found = {
        model: {
            measure: figure for measure, figure in figures.items() if figure is not None and figure.value is not None
        }
        for model, figures in models.items()
    }
    return {model: figures for model, figures in found.items() if figures}
