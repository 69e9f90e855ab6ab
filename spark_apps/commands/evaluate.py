"""evaluate: the table that says how good the recommendations are."""

from __future__ import annotations

from typing import Any

import click

from spark_apps.commands.common import (
    engine_options,
    json_option,
    model_options,
    next_step,
    out,
    print_json,
    print_table,
    seed_option,
)
from spark_apps.engine.opening import open_engine
from spark_apps.evaluation.bootstrap import Estimate
from spark_apps.evaluation.compared import Evaluation
from spark_apps.jobs import evaluate as evaluate_job
from spark_apps.settings import load_settings, table_root

_ACCURACY = {
    "ndcg": "NDCG@{k}",
    "recall": "Recall@{k}",
    "map": "MAP@{k}",
    "hit_rate_sampled": "HR@{k}\nof {n}+1",
    "ndcg_sampled": "NDCG@{k}\nof {n}+1",
}
_COMPARED = ("ndcg", "map", "hit_rate_sampled", "ndcg_sampled")


@click.command()
@engine_options
@seed_option
@click.option("--users", type=click.IntRange(min=1), help="Users to evaluate on, at most.  [default: 20000]")
@click.option(
    "--share",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="First share of the events, from which models learn.  [default: 0.8]",
)
@model_options
@json_option
def evaluate(
    root: str | None,
    engine: str | None,
    master: str | None,
    seed: int | None,
    users: int | None,
    share: float | None,
    model: dict[str, Any],
    as_json: bool,
) -> None:
    """Compare the models on what users touched later.

    Every model learns from the first share of the events and is evaluated by the products that its users
    touched for the first time afterwards. Writes reports/evaluation.json.

    \b
    Example: shopstream evaluate --users 5000
    """
    options = {"seed": seed, "evaluation_users": users, "evaluation_share": share, **model}
    settings = load_settings(root=root, engine=engine, master=master, **options)
    with open_engine(settings, "evaluate") as opened:
        evaluation = evaluate_job.run(opened, settings, table_root(settings))
    if as_json:
        print_json(evaluation.figures())
        return
    _print_evaluation(evaluation)
    next_step("shopstream report")


def _print_evaluation(evaluation: Evaluation) -> None:
    models, k, negatives = evaluation.models, evaluation.k, evaluation.negatives
    titles = [title.format(k=k, n=negatives) for title in _ACCURACY.values()]
    rows = [(name, *(_with_interval(figures[one]) for one in _ACCURACY)) for name, figures in models.items()]
    print_table(f"Accuracy: whole catalogue, then 1 product among {negatives} others", ["model", *titles], rows)
    print_table("Lists", ["model", "catalogue", "users", "diversity", "novelty, bits"], _list_rows(models))
    judged = evaluation.judged
    compared = {one: title for one, title in zip(_ACCURACY, titles, strict=True) if one in _COMPARED}
    differences = [
        (name, *(_signed(figures[one]) for one in compared)) for name, figures in evaluation.differences.items()
    ]
    print_table(f"{judged} minus each other model, paired by user", ["model", *compared.values()], differences)
    _print_conditions(evaluation)


def _print_conditions(evaluation: Evaluation) -> None:
    out.print(
        f"{evaluation.users_evaluated:,} users, of {evaluation.users_with_new_products:,} with new products from "
        f"{evaluation.cutoff} on; below each figure its {evaluation.interval.level:.0%} interval over users."
    )
    for rmse in filter(None, (figures.get("rmse") for figures in evaluation.models.values())):
        out.print(
            f"RMSE of ALS's preference (about 0 to 1) against held-out scores (1 for a view, up to 10): "
            f"{rmse.value:.4f} ({rmse.low:.4f} to {rmse.high:.4f})"
        )


def _list_rows(models: dict[str, dict[str, Estimate | None]]) -> list[tuple[str, str, str, str, str]]:
    return [
        (
            name,
            _percent(figures["catalogue_coverage"], 2),
            _percent(figures["user_coverage"], 1),
            _with_interval(figures["diversity"]),
            _with_interval(figures["novelty"], digits=2),
        )
        for name, figures in models.items()
    ]


def _percent(figure: Estimate | None, digits: int) -> str:
    return "-" if figure is None else f"{figure.value:.{digits}%}"


def _with_interval(figure: Estimate | None, digits: int = 4) -> str:
    if figure is None:
        return "-"
    return f"{figure.value:.{digits}f}\n{_bare(figure.low)}-{_bare(figure.high)}"


def _signed(figure: Estimate | None) -> str:
    if figure is None:
        return "-"
    return f"{figure.value:+.4f}\n{figure.low:+.3f} {figure.high:+.3f}".replace("0.", ".")


def _bare(value: float | None) -> str:
    """Three digits, without the 0 before the point, so that an interval fits a narrow column."""
    if value is None:
        return "-"
    return f"{value:.3f}".removeprefix("0") if value < 1 else f"{value:.2f}"
