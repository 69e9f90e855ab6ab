"""From one row per user and model to figures with intervals, and what sets the models apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from spark_apps.evaluation.batch_evaluation import FIGURES, PREDICTED, SQUARED_ERROR
from spark_apps.evaluation.bootstrap import Estimate, estimate, means, resampled_means

CATALOGUE_COVERAGE, RMSE = "catalogue_coverage", "rmse"
_DIGITS = 6


class Summary:
    """Figures of all models on the same users, resampled together."""

    def __init__(self, evaluated: pa.Table, models: Sequence[str], products: int, seed: int) -> None:
        """Resamples the users.

        Args:
            evaluated: from `protocol.evaluate_users`.
            models: names of the models, by number.
            products: number of products in the catalogue.
            seed: of the resampling.
        """
        self._evaluated, self._models, self._products = evaluated, list(models), products
        values = self._columns((*FIGURES, SQUARED_ERROR, PREDICTED))
        self._means = means(values).reshape(len(models), -1)
        self._resampled = resampled_means(values, seed).reshape(-1, len(models), len(FIGURES) + 2)

    def _columns(self, names: Sequence[str]) -> NDArray[np.float64]:
        """One row per user; models side by side, each with all the named figures."""
        stacked = np.column_stack([self._evaluated.column(name).to_numpy() for name in names])
        return stacked.reshape(-1, len(self._models) * len(names))

    def models(self, rated: str) -> dict[str, dict[str, Estimate | None]]:
        """Returns each model's figures as value, low and high.

        Args:
            rated: name of the model that has an RMSE.
        """
        figures: dict[str, dict[str, Estimate | None]] = {}
        for number, name in enumerate(self._models):
            figures[name] = {figure: self._figure(number, place) for place, figure in enumerate(FIGURES)}
            figures[name][CATALOGUE_COVERAGE] = Estimate(value=round(self._coverage(number), _DIGITS))
            if name == rated:
                figures[name][RMSE] = self._rmse(number)
        return figures

    def differences(self, judged: str) -> dict[str, dict[str, Estimate | None]]:
        """Returns, for every other model, the figures of one model minus the other's, paired by user."""
        one = self._models.index(judged)
        return {
            name: {
                figure: estimate(
                    self._means[one, place] - self._means[other, place],
                    self._resampled[:, one, place] - self._resampled[:, other, place],
                )
                for place, figure in enumerate(FIGURES)
            }
            for other, name in enumerate(self._models)
            if other != one
        }

    def _figure(self, model: int, place: int) -> Estimate | None:
        return estimate(self._means[model, place], self._resampled[:, model, place])

    def _coverage(self, model: int) -> float:
        """The share of the catalogue that is in at least one list."""
        mine = self._evaluated.filter(pa.array(self._evaluated.column("model").to_numpy() == model))
        return len(np.unique(mine.column("listed").combine_chunks().flatten().to_numpy())) / max(1, self._products)

    def _rmse(self, model: int) -> Estimate | None:
        """The root of the mean squared error over all predicted pairs; None where no pair could be predicted."""
        place = len(FIGURES)
        errors, predicted = self._resampled[:, model, place], self._resampled[:, model, place + 1]
        drawn = np.sqrt(np.divide(errors, predicted, out=np.full_like(errors, np.nan), where=predicted > 0))
        if not self._means[model, place + 1] > 0:
            return None
        value = float(np.sqrt(self._means[model, place] / self._means[model, place + 1]))
        return estimate(value, drawn)
