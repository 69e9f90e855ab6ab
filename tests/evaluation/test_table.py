"""The printed tables fit a terminal of 80 columns, and whole-catalogue figures stand beside the sampled ones."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from spark_apps.commands import common, evaluate
from spark_apps.evaluation.batch_evaluation import FIGURES
from spark_apps.evaluation.compared import Evaluation

MODELS = ("popularity", "item-knn", "als", "content", "hybrid")


def figure(value: float) -> dict[str, float]:
    return {"value": value, "low": max(0.0, value - 0.0123), "high": value + 0.0123}


def difference(value: float) -> dict[str, float]:
    return {"value": -value, "low": -value - 0.0123, "high": -value + 0.0123}


def evaluated(value: float) -> Evaluation:
    models = {
        name: {
            **{one: figure(value) for one in FIGURES},
            "novelty": figure(11.5),
            "diversity": None,
            "catalogue_coverage": {"value": 0.5542},
        }
        for name in MODELS
    }
    models["als"]["rmse"] = figure(2.2)
    return Evaluation(
        evaluated_at="2019-11-01T00:00:00+00:00",
        code_version="1.0",
        seed=42,
        share=0.8,
        cutoff="2019-10-25T21:09:18+00:00",
        k=10,
        negatives=99,
        interval={"level": 0.95, "resamples": 1000},
        training={"users": 3, "products": 4, "interactions": 5},
        users_with_new_products=1_234_567,
        users_evaluated=20_000,
        models=models,
        judged="hybrid",
        differences={name: {one: difference(value) for one in FIGURES} for name in MODELS[:-1]},
    )


def printed(monkeypatch: pytest.MonkeyPatch, value: float) -> list[str]:
    console = Console(width=80, file=io.StringIO(), highlight=False)
    for module in (common, evaluate):
        monkeypatch.setattr(module, "out", console)
    evaluate._print_evaluation(evaluated(value))
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("value", [0.0, 0.1146, 0.9999])
def test_it_fits_80_columns_without_a_folded_cell(monkeypatch: pytest.MonkeyPatch, value: float) -> None:
    lines = printed(monkeypatch, value)
    assert max(map(len, lines)) <= 80
    shown = [line for line in lines if line.startswith("│")]
    names = [line.split("│")[1].strip() for line in shown]
    # each model once per table and one line for its interval: nothing was folded into a third
    assert [name for name in names if name] == [*MODELS, *MODELS, *MODELS[:-1]]
    assert len(shown) == 2 * (5 + 5 + 4)


def test_sampled_figures_stand_beside_those_of_the_whole_catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "\n".join(printed(monkeypatch, 0.1146))
    first, *_ = text.split("└")
    for title in ("NDCG@10", "Recall@10", "MAP@10", "HR@10", "of 99+1"):
        assert title in first
    assert "0.1146" in first and ".102-.127" in first
    assert "RMSE" in text and "20,000 users, of 1,234,567" in text
