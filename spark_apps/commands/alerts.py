"""alerts check: the alerts that Grafana would raise, for people without Grafana."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

import click

from spark_apps.cluster.health.status import urls
from spark_apps.commands.cluster import name_option
from spark_apps.commands.common import FAILED, json_option, next_step, out, print_json, print_table
from spark_apps.commands.monitoring import monitored, reader_token
from spark_apps.errors import UserError
from spark_apps.platform.influxdb import Influx
from spark_apps.telemetry.alerts import RULES, Verdict, judge, read_rules
from spark_apps.telemetry.token_files import read_secret

_file = click.Path(path_type=Path, dir_okay=False)


@click.group("alerts")
def alerts() -> None:
    """The alert rules, without Grafana."""


@alerts.command()
@name_option
@click.option("--url", help="InfluxDB's, as http://127.0.0.1:8086.  [default: that of the cluster]")
@click.option("--token-file", type=_file, metavar="FILE", help="Holds a token that may read; goes with --url.")
@click.option("--rules", type=_file, default=RULES, metavar="FILE", help="Grafana's rules.  [default: the kit's]")
@json_option
def check(name: str, url: str | None, token_file: Path | None, rules: Path, as_json: bool) -> None:
    """Ask the queries of all alert rules once, and say which conditions hold.

    Grafana raises an alert once a condition has held for 20 s; this is a
    look at one moment. Ends with exit code 1 when a condition holds.

    \b
    Example: shopstream alerts check
    """
    wanted = read_rules(rules)
    verdicts = list(judge(_influx(name, url, token_file), wanted))
    if as_json:
        print_json([{**asdict(one.rule), "value": one.value, "fires": one.fires} for one in verdicts])
    else:
        _print(verdicts)
    sys.exit(FAILED if any(one.fires for one in verdicts) else 0)


def _influx(name: str, url: str | None, token_file: Path | None) -> Influx:
    if url is not None and token_file is not None:
        return Influx(url, read_secret(token_file))
    if url is not None or token_file is not None:
        raise UserError("--url and --token-file go together: give both, or none for the cluster on this machine.")
    compose = monitored(name)
    return Influx(urls(compose.cluster.config(), compose.monitoring)["InfluxDB"], reader_token(compose))


def _print(verdicts: list[Verdict]) -> None:
    rows = [
        (
            one.rule.title,
            "no points" if one.value is None else one.rule.severity if one.fires else "fine",
            one.value,
            f"{'over' if one.rule.above else 'under'} {one.rule.limit:g}",
        )
        for one in verdicts
    ]
    print_table("Alert rules", ["rule", "state", "value", "alarm"], rows)
    firing = [one.rule for one in verdicts if one.fires]
    for rule in firing:
        out.print(f"{rule.title}: {rule.summary}", soft_wrap=True)
        out.print(f"  To do: {rule.advice}", soft_wrap=True)
    if not firing:
        next_step("shopstream watch, or the dashboards in Grafana")
