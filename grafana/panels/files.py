"""The files that are made from this code, and what shall stand in them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder

from grafana.panels import alerts, behaviour, platform, realtime, recommendations, segments

GRAFANA = Path(__file__).resolve().parents[1]
DASHBOARDS = GRAFANA / "dashboards"
RULES = GRAFANA / "provisioning" / "alerting" / "rules.yaml"
RULES_HEADER = "# Made from grafana/panels/alerts.py by `make dashboards`: change it there.\n"
MODULES = {
    "behaviour": behaviour,
    "segments": segments,
    "recommendations": recommendations,
    "realtime": realtime,
    "platform": platform,
}


def generated() -> dict[Path, str]:
    """Returns the text of each generated file."""
    dashboards = {DASHBOARDS / f"{name}.json": _as_json(module.dashboard()) for name, module in MODULES.items()}
    return dashboards | {RULES: RULES_HEADER + _as_yaml(alerts.provisioned())}


class _Dumper(yaml.SafeDumper):
    """Writes queries as they are read, line by line."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def _as_json(model: object) -> str:
    return json.dumps(model, cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _as_yaml(content: dict[str, Any]) -> str:
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
