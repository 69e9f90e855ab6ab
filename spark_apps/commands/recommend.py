"""recommend: one user's list, or everybody's as a file."""

from __future__ import annotations

from dataclasses import asdict

import click

from spark_apps.commands.common import (
    json_option,
    out,
    print_json,
    print_table,
    root_option,
)
from spark_apps.jobs import recommend as recommend_job
from spark_apps.jobs.recommend import recommendations_csv as recommendations_csv_job
from spark_apps.settings import load_settings, table_root


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
