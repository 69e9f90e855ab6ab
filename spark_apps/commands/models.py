"""features, segment, train, recommend, report, models: from clean events to lists."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from spark_apps.commands.common import (
    date_options,
    json_option,
    next_step,
    out,
    print_json,
    print_table,
    root_option,
    spark_options,
)
from spark_apps.errors import MissingModelError, NothingToDoError
from spark_apps.jobs import features as features_job
from spark_apps.jobs import recommend as recommend_job
from spark_apps.jobs import report as report_job
from spark_apps.jobs import segment as segment_job
from spark_apps.jobs import train as train_job
from spark_apps.progress import step
from spark_apps.registry.versions import NAMES, Metadata, versions
from spark_apps.session import spark_session
from spark_apps.settings import load_settings, table_root
from spark_apps.tables import DateRange


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
@spark_options
@date_options
@json_option
def features(root: str | None, master: str | None, dates: DateRange, as_json: bool) -> None:
    """Compute the user, product and interaction tables from clean events.

    \b
    Example: shopstream features --to 2019-10-31
    """
    settings = load_settings(root=root, master=master)
    with spark_session(settings, "features") as spark, step("Features", spark):
        rows = features_job.run(spark, settings, table_root(settings), dates)
    if as_json:
        print_json(rows)
        return
    print_table("Features", ["table", "rows"], list(rows.items()))
    next_step("shopstream segment, or shopstream train for everything")


@click.command()
@spark_options
@_k_option
@_seed_option
@json_option
def segment(root: str | None, master: str | None, k: str, seed: int | None, as_json: bool) -> None:
    """Group users by RFM and by k-means, and name the groups.

    \b
    Example: shopstream segment --k auto
    """
    settings = load_settings(root=root, master=master, seed=seed)
    with spark_session(settings, "segment") as spark, step("Segments", spark):
        metadata = segment_job.run(spark, settings, table_root(settings), k)
    if as_json:
        print_json(metadata.model_dump())
        return
    print_segments(metadata)
    next_step("shopstream report")


def print_segments(metadata: Metadata) -> None:
    """Prints a segmentation's clusters, RFM groups and silhouette curve."""
    metrics, users = metadata.metrics, max(1, metadata.users)
    columns = ["segment", "users", "share", "recency, days", "active days", "monetary", "conversion"]
    rows = [
        (c["name"], c["users"], f"{c['users'] / users:.1%}", *(c["means"][name] for name in _SHOWN_MEANS))
        for c in sorted(metrics["clusters"], key=lambda c: -c["users"])
    ]
    print_table(f"Segments, k = {metrics['k']}, means", columns, rows)
    print_table("RFM", ["segment", "users"], list(metrics["rfm"].items()))
    curve = [(p["k"], round(p["silhouette"], 4), round(p["cost"], 1)) for p in metrics["curve"]]
    print_table("Silhouette by k, on a sample", ["k", "silhouette", "cost"], curve)
    out.print(f"k-means: {metrics['iterations']} iterations, cost {metrics['cost']:,.1f}")


_SHOWN_MEANS = ("recency", "frequency", "monetary", "conversion_rate")


@click.command()
@spark_options
@date_options
@_k_option
@_seed_option
@click.option("--engine", type=click.Choice(["auto", "implicit", "mllib"]), help="What fits ALS.  [default: auto]")
@click.option("--rank", type=click.IntRange(min=1), help="Length of a factor.  [default: 50]")
@click.option("--iterations", type=click.IntRange(min=1), help="ALS iterations.  [default: 15]")
@json_option
def train(
    root: str | None,
    master: str | None,
    dates: DateRange,
    k: str,
    seed: int | None,
    engine: str | None,
    rank: int | None,
    iterations: int | None,
    as_json: bool,
) -> None:
    """Features, segments, ALS and the top 10 of every user, in one application.

    Everything appears together at the end, or nothing does.

    \b
    Example: shopstream train --engine auto
    """
    als = {name: value for name, value in (("rank", rank), ("iterations", iterations)) if value is not None}
    settings = load_settings(root=root, master=master, seed=seed, engine=engine, als=als or None)
    with spark_session(settings, "train") as spark:
        training = train_job.run(spark, settings, table_root(settings), dates, k)
    if as_json:
        print_json({"als": training.als.model_dump(), "segments": training.segments.model_dump()})
        return
    print_segments(training.segments)
    lists = training.als.metrics
    out.print(f"Model version {training.als.version}: lists for {lists['users_with_list']:,} users")
    next_step("shopstream recommend --user ID, or shopstream report")


@click.command()
@root_option
@click.option("--user", "user_id", type=int, required=True, help="User id; unknown ones get what is popular.")
@click.option("--top", type=click.IntRange(1, 1000), help="Length of the list.  [default: 10]")
@json_option
def recommend(root: str | None, user_id: int, top: int | None, as_json: bool) -> None:
    """Recommend products to one user from the newest models.

    \b
    Example: shopstream recommend --user 512345678 --top 5
    """
    settings = load_settings(root=root, top=top)
    found = recommend_job.run(settings, table_root(settings), user_id, settings.top)
    if as_json:
        print_json([asdict(one) for one in found])
        return
    rows = [(rank, one.product_id, round(one.score, 4), one.source) for rank, one in enumerate(found, start=1)]
    table = [(str(rank), str(product), f"{score:.4f}", source) for rank, product, score, source in rows]
    print_table(f"For user {user_id}", ["rank", "product_id", "score", "source"], table)


@click.command()
@spark_options
def report(root: str | None, master: str | None) -> None:
    """Write one HTML page with charts of everything computed so far.

    \b
    Example: shopstream report
    """
    settings = load_settings(root=root, master=master)
    with spark_session(settings, "report") as spark, step("Report", spark):
        page = report_job.run(spark, table_root(settings))
    click.echo(page)
    next_step("open it in a browser; it needs no network")


@click.group()
def models() -> None:
    """Model versions and what is known of them."""


@models.command("list")
@root_option
@json_option
def list_models(root: str | None, as_json: bool) -> None:
    """List the versions of every model.

    \b
    Example: shopstream models list
    """
    folder = table_root(load_settings(root=root))
    found = [version for name in NAMES for version in versions(folder, name)]
    if as_json:
        print_json([{"name": v.name, "version": v.version, "complete": v.metadata is not None} for v in found])
        return
    if not found:
        raise NothingToDoError("There is no model yet: run `shopstream train` first (with the same --root).")
    rows = [
        (
            v.name,
            v.version,
            "complete",
            v.metadata.users,
            f"{v.metadata.first_date} to {v.metadata.last_date}",
        )
        if v.metadata
        else (v.name, v.version, "INCOMPLETE", None, "-")
        for v in found
    ]
    print_table("Models", ["model", "version", "state", "users", "events of"], rows)
    next_step("shopstream models show als")


@models.command("show")
@click.argument("name", type=click.Choice(NAMES))
@click.option("--version", "wanted", help="Which version.  [default: the newest complete one]")
@root_option
def show_model(name: str, wanted: str | None, root: str | None) -> None:
    """Print a model's metadata as JSON.

    \b
    Example: shopstream models show als
    """
    folder = table_root(load_settings(root=root))
    found = [v for v in versions(folder, name) if v.metadata and wanted in (None, v.version)]
    if not found:
        raise MissingModelError(name, wanted)
    print_json(found[-1].metadata.model_dump() if found[-1].metadata else None)
