"""features, segment, train, recommend, report: from clean events to lists."""

from __future__ import annotations

import sys
from dataclasses import asdict
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
    print_table,
    root_option,
)
from spark_apps.commands.failures import EXIT_NOT_PROMOTED
from spark_apps.engine.opening import open_engine
from spark_apps.jobs import features as features_job
from spark_apps.jobs import recommend as recommend_job
from spark_apps.jobs import recommendations_csv as recommendations_csv_job
from spark_apps.jobs import report as report_job
from spark_apps.jobs import segment as segment_job
from spark_apps.jobs import train as train_job
from spark_apps.progress import step
from spark_apps.registry.promotion import Decision
from spark_apps.registry.serving import model_options_of
from spark_apps.registry.versions import Metadata
from spark_apps.settings import EngineChoice, load_settings, table_root
from spark_apps.tables import DateRange

DEFAULT_TRIALS, MOST_TRIALS = 20, 500


class _ClusterNumber(click.ParamType[str]):
    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> str:
        if value == segment_job.AUTO or (str(value).isdigit() and int(value) >= 2):
            return str(value)
        return self.fail(f"{value!r} is neither a number from 2 nor auto", param, context)


_k_option = click.option(
    "--k",
    type=_ClusterNumber(),
    default="5",
    show_default=True,
    help="Clusters, or auto: the best of 2 to 10.",
)
_seed_option = click.option("--seed", type=int, help="Of everything random.  [default: 42]")


@click.command()
@engine_options
@date_options
@json_option
def features(root: str | None, engine: str | None, master: str | None, dates: DateRange, as_json: bool) -> None:
    """Compute the user, product and interaction tables from clean events.

    \b
    Example: shopstream features --to 2019-10-31
    """
    settings = load_settings(root=root, engine=engine, master=master)
    with open_engine(settings, "features") as opened, step("Features"):
        rows = features_job.run(opened, settings, table_root(settings), dates)
    if as_json:
        print_json(rows)
        return
    print_table("Features", ["table", "rows"], list(rows.items()))
    next_step("shopstream segment, or shopstream train for everything")


@click.command()
@engine_options
@_k_option
@_seed_option
@json_option
def segment(
    root: str | None, engine: EngineChoice | None, master: str | None, k: str, seed: int | None, as_json: bool
) -> None:
    """Group users by RFM and by k-means, and name the groups.

    \b
    Example: shopstream segment --k auto
    """
    settings = load_settings(root=root, engine=engine, master=master, seed=seed)
    with open_engine(settings, "segment") as opened, step("Segments"):
        metadata = segment_job.run(opened, settings, table_root(settings), k)
    if as_json:
        print_json(metadata.model_dump())
        return
    print_segments(metadata)
    next_step("shopstream report")


def print_segments(metadata: Metadata) -> None:
    """Prints a segmentation's clusters, RFM groups, behaviours and silhouette curve, and how far to trust it."""
    metrics = metadata.metrics
    columns = ["segment", "users", "share", "of revenue", "recency, days", "active days", "monetary", "conversion"]
    rows = [
        (
            *(one["segment"], one["users"], f"{one['share']:.1%}", f"{one['revenue_share']:.1%}"),
            *(one["features"][name]["mean"] for name in _SHOWN_MEANS),
        )
        for one in sorted(metrics["profiles"], key=lambda one: -one["users"])
    ]
    print_table(f"Segments, k = {metrics['k']}, means", columns, rows)
    print_table("RFM", ["segment", "users"], list(metrics["rfm"].items()))
    print_table("Behaviour", ["label", "users"], list(metrics["behaviours"].items()))
    curve = [(p["k"], round(p["silhouette"], 4), round(p["cost"], 1)) for p in metrics["curve"]]
    print_table("Silhouette by k, on a sample", ["k", "silhouette", "cost"], curve)
    ending = "" if metrics["converged"] else ", not converged"
    out.print(f"k-means: {metrics['iterations']} iterations{ending}, cost {metrics['cost']:,.1f}")
    if metrics["stability"]:
        again = {kind: metrics["stability"][kind]["lowest"] for kind in ("other_seed", "bootstrap")}
        out.print(
            f"Found again, adjusted Rand index at least: {again['other_seed']:.2f} with other seeds, "
            f"{again['bootstrap']:.2f} from bootstrap samples"
        )


_SHOWN_MEANS = ("recency", "frequency", "monetary", "conversion_rate")


@click.command()
@engine_options
@date_options
@_k_option
@_seed_option
@model_options
@click.option("--tune", is_flag=True, help="First search the parameters above: on products held back.")
@click.option(
    "--trials", type=click.IntRange(1, MOST_TRIALS), help=f"With --tune: fits of ALS.  [default: {DEFAULT_TRIALS}]"
)
@click.option("--force", is_flag=True, help="Promote the models even if the gate refuses them.")
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


@click.command()
@root_option
@click.option("--user", "user_id", type=int, help="User id; unknown ones get what is popular.")
@click.option("--all", "everybody", is_flag=True, help="Write every user's list to reports/recommendations.csv.")
@click.option("--top", type=click.IntRange(1, 1000), help="Length of the user's list.  [default: 10]")
@json_option
def recommend(root: str | None, user_id: int | None, everybody: bool, top: int | None, as_json: bool) -> None:
    """Recommend products to one user, or write every user's list to a file.

    A user whom the stream has seen since the training gets a list that counts what it saw.

    \b
    Example: shopstream recommend --user 512345678 --top 5
    """
    if everybody:
        if user_id is not None or top is not None:
            raise click.UsageError("--all writes the lists as training made them: it goes without --user and --top.")
        _write_everybody(root, as_json)
        return
    if user_id is None:
        raise click.UsageError("Name a user with --user, or ask for everybody with --all.")
    settings = load_settings(root=root, top=top)
    found = recommend_job.run(settings, table_root(settings), user_id, settings.top)
    if as_json:
        print_json([asdict(one) for one in found])
        return
    rows = [(rank, one.product_id, round(one.score, 4), one.source) for rank, one in enumerate(found, start=1)]
    table = [(str(rank), str(product), f"{score:.4f}", source) for rank, product, score, source in rows]
    print_table(f"For user {user_id}", ["rank", "product_id", "score", "source"], table)


def _write_everybody(root: str | None, as_json: bool) -> None:
    path, rows = recommendations_csv_job.run(table_root(load_settings(root=root)))
    if as_json:
        print_json({"file": str(path), "rows": rows})
        return
    out.print(f"{rows:,} recommendations", soft_wrap=True)
    click.echo(path)


@click.command()
@engine_options
def report(root: str | None, engine: str | None, master: str | None) -> None:
    """Write one HTML page with charts of everything computed so far.

    \b
    Example: shopstream report
    """
    settings = load_settings(root=root, engine=engine, master=master)
    with open_engine(settings, "report") as opened, step("Report"):
        page = report_job.run(opened, table_root(settings))
    click.echo(page)
    next_step("open it in a browser; it needs no network")
