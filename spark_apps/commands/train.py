"""train: features, segments, ALS and every user's list."""

from __future__ import annotations

import sys
from typing import Any

import click

from spark_apps.commands.common import (
    date_options,
    engine_options,
    json_option,
    model_options,
    next_step,
    out,
    print_json,
    seed_option,
)
from spark_apps.commands.failures import EXIT_NOT_PROMOTED
from spark_apps.commands.segment import k_option, print_segments
from spark_apps.engine.opening import open_engine
from spark_apps.jobs import train as train_job
from spark_apps.registry.promotion import Decision
from spark_apps.registry.serving import model_options_of
from spark_apps.registry.versions import Metadata
from spark_apps.settings import load_settings, table_root
from spark_apps.tables import DateRange

DEFAULT_TRIALS, MOST_TRIALS = 20, 500


@click.command()
@engine_options
@date_options
@k_option
@seed_option
@model_options
@click.option("--tune", is_flag=True, help="First search the parameters above: on products held back.")
@click.option(
    "--trials", type=click.IntRange(1, MOST_TRIALS), help=f"With --tune: fits of ALS.  [default: {DEFAULT_TRIALS}]"
)
@click.option("--force", is_flag=True, help="Promote the models even if the promotion policy refuses them.")
@json_option
def train(
    root: str | None,
    engine: str | None,
    master: str | None,
    dates: DateRange,
    k: str,
    seed: int | None,
    model: dict[str, Any],
    tune: bool,
    trials: int | None,
    force: bool,
    as_json: bool,
) -> None:
    """Features, segments, ALS and the top 10 of every user.

    Everything appears together at the end, or nothing does. Models that do worse than popularity, or clearly worse
    than the promoted ones, are kept to be looked at and not promoted: exit code 3.

    \b
    Example: shopstream train --tune --trials 10
    """
    if trials is not None and not tune:
        raise click.UsageError("--trials says how long --tune searches: give both, or none.")
    settings = load_settings(root=root, engine=engine, master=master, seed=seed, **model)
    with open_engine(settings, "train") as opened:
        number = (trials or DEFAULT_TRIALS) if tune else 0
        training = train_job.run(opened, settings, table_root(settings), dates, k, force, number)
    if as_json:
        models = {"als": training.als.model_dump(), "segments": training.segments.model_dump()}
        print_json({**models, "promotion": _as_json(training.decision)})
    else:
        _print_training(training)
    if training.decision.promotion is None:
        sys.exit(EXIT_NOT_PROMOTED)


def _as_json(decision: Decision) -> dict[str, Any]:
    by = decision.promotion.by if decision.promotion is not None else None
    told = {"version": decision.version, "promoted": by is not None, "by": by}
    return {**told, "reason": decision.reason, "kept_tables": decision.kept_tables}


def _print_training(training: train_job.Training) -> None:
    print_segments(training.segments)
    _print_tuning(training.als)
    decision = training.decision
    if decision.kept_tables:
        kept = " and ".join(decision.kept_tables)
        out.print(f"Tables {kept} stay as they were, with the promoted version.", soft_wrap=True)
    else:
        users = training.als.metrics["users_with_list"]
        out.print(f"Model version {training.als.version}: lists for {users:,} users", soft_wrap=True)
    out.print(f"Models: {decision}.", soft_wrap=True)
    if decision.promotion is not None:
        next_step("shopstream recommend --user ID, or shopstream report")
        return
    if not decision.kept_tables:
        out.print("No version is promoted, so jobs use the newest complete one, which is this.")
    next_step(f"shopstream models promote all {decision.version} to use it nevertheless, or train with --force")


def _print_tuning(metadata: Metadata) -> None:
    """Says what tuning found and how to train with it again, if it was asked for."""
    tuning = metadata.metrics.get("tuning")
    if tuning is None:
        return
    best = tuning["best"]
    options = " ".join(f"--{name} {value:.6g}" for name, value in model_options_of(best).items())
    out.print(
        f"Tuned on {tuning['users']:,} users: NDCG@10 {best['ndcg']:.4f} in trial {best['trial']} of "
        f"{len(tuning['trials'])}, {tuning['given_ndcg']:.4f} with the given parameters. To train so again: {options}",
        soft_wrap=True,
    )
