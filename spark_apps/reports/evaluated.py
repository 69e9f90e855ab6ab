"""Reads the figures of several models out of evaluation.json, or out of a model's metadata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spark_apps.reports.data import Comparison, Measure


def evaluated(evaluation: Mapping[str, Any]) -> Comparison:
    """Picks what the report shows of an evaluation.

    Args:
        evaluation: what `shopstream evaluate` wrote.
    """
    return {
        "comparison": measured_models(evaluation["models"]),
        "judged": evaluation["judged"],
        "differences": measured_models(evaluation["differences"]),
        "conditions": {
            "k": evaluation["k"],
            "negatives": evaluation["negatives"],
            "users_evaluated": evaluation["users_evaluated"],
            "cutoff": evaluation["cutoff"],
        },
    }


def measured_models(found: Any) -> dict[str, dict[str, Measure]]:
    """Picks what has the form of a comparison: model -> measure -> figure, with or without its interval.

    Args:
        found: what the metadata holds, whatever it is.

    Returns:
        The models with at least one figure; none where nothing has that form.
    """
    if not isinstance(found, Mapping):
        return {}
    models = {str(model): _measures(figures) for model, figures in found.items() if isinstance(figures, Mapping)}
    return {model: figures for model, figures in models.items() if figures}


def _measures(figures: Mapping[Any, Any]) -> dict[str, Measure]:
    return {
        str(name): {
            "value": _number(found["value"]),
            "low": _number(found.get("low")),
            "high": _number(found.get("high")),
        }
        for name, found in figures.items()
        if isinstance(found, Mapping) and _number(found.get("value")) is not None
    }


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
