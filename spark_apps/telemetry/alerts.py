"""The alert rules without Grafana: the queries that Grafana is given, asked of InfluxDB itself (SPEC V3)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from spark_apps.errors import UserError
from spark_apps.platform.influxdb import Influx
from spark_apps.telemetry.provision import BUCKET, ORG

# the one place of all rules, made from grafana/panels/alerts.py
RULES = Path(__file__).resolve().parents[2] / "grafana" / "provisioning" / "alerting" / "rules.yaml"
_ABOVE = "gt"
_WINDOW = "10s"


class RulesMissingError(UserError):
    """The file of the rules is not there, or is none."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} holds no alert rules: run the command from a copy of the kit, or name it by --rules.")


@dataclass(frozen=True)
class AlertRule:
    """A rule as Grafana is given it.

    Attributes:
        title: as Grafana lists it.
        query: Flux that gives one number, or none.
        span: how far back it looks, seconds.
        limit: what the number is compared with.
        above: whether it fires above the limit, else below.
        severity: critical or warning.
        summary: what happened when it fires.
        advice: what to do then.
    """

    title: str
    query: str
    span: int
    limit: float
    above: bool
    severity: str
    summary: str
    advice: str


@dataclass(frozen=True)
class Verdict:
    """A rule and the number found; None where there are no points to judge by, which is no fault, as in Grafana."""

    rule: AlertRule
    value: float | None

    @property
    def fires(self) -> bool:
        """Whether the condition holds at this moment; Grafana raises an alert once it has held for 20 s."""
        if self.value is None:
            return False
        return self.value > self.rule.limit if self.rule.above else self.value < self.rule.limit


def read_rules(path: Path = RULES) -> list[AlertRule]:
    """Reads rules from Grafana's provisioning.

    Raises:
        RulesMissingError: when the file is not there or holds none.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        return [_rule(one) for group in content["groups"] for one in group["rules"]]
    except (OSError, UnicodeDecodeError, yaml.YAMLError, LookupError, TypeError):
        raise RulesMissingError(path) from None


def judge(influx: Influx, rules: list[AlertRule]) -> Iterator[Verdict]:
    """Asks each rule's query.

    Args:
        influx: with a token that may read the bucket.
        rules: from `read_rules`.

    Raises:
        InfluxAwayError: when InfluxDB does not answer.
        InfluxRefusedError: when it refuses a query.
    """
    for rule in rules:
        rows = influx.query(ORG, _with_variables(rule))
        yield Verdict(rule, float(rows[0]["_value"]) if rows else None)


def _rule(given: dict[str, Any]) -> AlertRule:
    question, comparison = given["data"]
    evaluator = comparison["model"]["conditions"][0]["evaluator"]
    notes = given["annotations"]
    return AlertRule(
        title=given["title"],
        query=question["model"]["query"],
        span=question["relativeTimeRange"]["from"],
        limit=evaluator["params"][0],
        above=evaluator["type"] == _ABOVE,
        severity=given["labels"]["severity"],
        summary=notes["summary"],
        advice=notes["description"],
    )


def _with_variables(rule: AlertRule) -> str:
    """The query with the variables that Grafana would give it, after its imports."""
    lines = rule.query.splitlines()
    imports = [line for line in lines if line.startswith("import ")]
    variables = (
        f'option v = {{defaultBucket: "{BUCKET}", timeRangeStart: -{rule.span}s, timeRangeStop: now(), '
        f"windowPeriod: {_WINDOW}}}"
    )
    return "\n".join([*imports, variables, *(line for line in lines if line not in imports)])
