"""segment: users in groups by RFM and k-means."""

from __future__ import annotations

from typing import Any

import click

from spark_apps.commands.common import (
    engine_options,
    json_option,
    next_step,
    out,
    print_json,
    print_table,
    seed_option,
)
from spark_apps.engine.opening import open_engine
from spark_apps.jobs import segment as segment_job
from spark_apps.progress import step
from spark_apps.registry.versions import Metadata
from spark_apps.settings import EngineChoice, load_settings, table_root

_SHOWN_MEANS = ("recency", "frequency", "monetary", "conversion_rate")


class _ClusterNumber(click.ParamType[str]):
    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> str:
        if value == segment_job.AUTO or (str(value).isdigit() and int(value) >= 2):
            return str(value)
        return self.fail(f"{value!r} is neither a number from 2 nor auto", param, context)


k_option = click.option(
    "--k",
    type=_ClusterNumber(),
    default="5",
    show_default=True,
    help="Clusters, or auto: the best of 2 to 10.",
)


@click.command()
@engine_options
@k_option
@seed_option
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
