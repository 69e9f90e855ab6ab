"""What counts as a comparison of models."""

import pytest

from spark_apps.evaluation.bootstrap import Estimate
from spark_apps.evaluation.compared import measured_models


def test_figures_with_and_without_intervals():
    found = {
        "als": {"ndcg": {"value": 0.5, "low": 0.4, "high": 0.6}, "coverage": {"value": 1}, "rmse": None},
        "nobody": {"ndcg": None},
    }
    assert measured_models(found) == {
        "als": {"ndcg": Estimate(value=0.5, low=0.4, high=0.6), "coverage": Estimate(value=1.0)}
    }


@pytest.mark.parametrize(
    "found", [None, 5, "text", [], {}, {"als": 3}, {"als": {"ndcg": 0.5}}, {"a": {"b": {"value": True}}}]
)
def test_anything_else_is_none(found):
    assert measured_models(found) == {}
