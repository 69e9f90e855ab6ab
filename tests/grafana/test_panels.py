"""Dashboards and alert rules as files: made from the code, complete, and true to what the stream writes."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from spark_apps.telemetry.measurements import HOURLY_MEASUREMENTS, MEASUREMENTS, PLATFORM_MEASUREMENTS
from tests.grafana.asking import Question, questions

pytest.importorskip("grafana_foundation_sdk", reason="grafana-foundation-sdk needs Python 3.11 or newer")

from grafana.panels import alerts, behaviour
from grafana.panels.files import DASHBOARDS, GRAFANA, MODULES, generated
from grafana.panels.flux import points

FILES = sorted(DASHBOARDS.glob("*.json"))
ALL = (*MEASUREMENTS, *HOURLY_MEASUREMENTS, *PLATFORM_MEASUREMENTS)
FIELDS = {one.name: {field.name for field in one.fields} for one in ALL}
TAGS = {one.name: {tag.name for tag in one.tags} for one in ALL}
# columns that InfluxDB itself gives
OWN_COLUMNS = {"_time", "_value", "_field", "_measurement", "_start", "_stop"}
MOST_COLUMNS = 24
EMPTY = ("No data: run make simulate", "No bad rows", "No data: only a cluster reports this")


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def panels(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def all_queries() -> list[tuple[str, str]]:
    """Every query of every dashboard and rule, with where it stands."""
    asked: list[Question] = [one for path in FILES for one in questions(read(path))]
    rules = [(f"rule {rule.title}", str(rule.query)) for rule in alerts.rules()]
    return [(str(one), one.target["query"]) for one in asked] + rules


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_variables_have_ids_of_their_own(path: Path) -> None:
    """Grafana's pages pass by a variable with the id of one that is being made, and its queries keep `${name}`."""
    for variable in read(path)["templating"].get("list", []):
        assert variable["id"] == variable["name"]


def unknown_names(flux: str) -> set[str]:
    """What a query names and the stream does not write."""
    named = set(re.findall(r'r\._measurement == "(\w+)"', flux))
    fields = set(re.findall(r'r\._field == "(\w+)"', flux))
    if not named or named - FIELDS.keys():
        return named or {"no measurement"}
    known = set().union(*(FIELDS[name] for name in named))
    tags = set().union(*(TAGS[name] for name in named))
    columns = OWN_COLUMNS | tags | fields | made_columns(flux)
    used = set(re.findall(r"\br\.(\w+)", flux)) | set(listed_columns(flux))
    return (fields - known) | (used - columns)


def made_columns(flux: str) -> set[str]:
    """Columns that a query makes itself: of a record, by a new name, or from the values of a tag."""
    made = set(re.findall(r"(\w+): ", flux))
    pivoted = re.findall(r'columnKey: \["(\w+)"\]', flux)
    values = {tag.name: set(tag.values) for one in MEASUREMENTS for tag in one.tags}
    return made.union(*(values.get(name, set()) for name in pivoted))


def listed_columns(flux: str) -> list[str]:
    """Columns in keep, group, sort and pivot."""
    lists = re.findall(r"(?:columns|rowKey|columnKey): \[([^\]]*)\]", flux)
    return [name for one in lists for name in re.findall(r'"(\w+)"', one)]


def test_files_are_what_the_code_makes() -> None:
    wanted = generated()
    assert {path for path in wanted if path.suffix == ".json"} == set(FILES)
    stale = [path.name for path, text in wanted.items() if path.read_text(encoding="utf-8") != text]
    assert not stale, f"run `make dashboards`: {stale}"


def test_there_are_five_dashboards() -> None:
    assert len(MODULES) == len(FILES) == 5


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_dashboard_refreshes_and_can_be_found(path: Path) -> None:
    dashboard = read(path)
    assert dashboard["uid"] == f"shopstream-{path.stem}" and "id" not in dashboard
    assert (dashboard["refresh"], dashboard["timezone"], dashboard["tags"]) == ("5s", "utc", ["shopstream"])
    assert dashboard["title"] and dashboard["description"] and dashboard["schemaVersion"] <= 37
    assert [(link["type"], link["tags"]) for link in dashboard["links"]] == [("dashboards", ["shopstream"])]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_panel_says_what_it_shows(path: Path) -> None:
    for panel in panels(read(path)):
        defaults = panel["fieldConfig"]["defaults"]
        assert panel["title"] and defaults["unit"], panel["title"]
        assert len(panel["description"]) > 20 and panel["description"].endswith((".", "?")), panel["title"]
        assert defaults["noValue"] in EMPTY
        assert len(panel["targets"]) == 1 and panel["options"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_panels_fill_rows_without_overlap(path: Path) -> None:
    taken: set[tuple[int, int]] = set()
    dashboard = read(path)
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert place["x"] + place["w"] <= MOST_COLUMNS and not cells & taken, panel["title"]
        taken |= cells
    rows = {y for _, y in taken}
    uneven = [y for y in rows if sum(cell[1] == y for cell in taken) != MOST_COLUMNS]
    assert not uneven and rows == set(range(len(rows)))
    numbers = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(numbers)) == len(numbers)


def test_all_ask_the_provisioned_data_source() -> None:
    sources = yaml.safe_load((GRAFANA / "provisioning/datasources/influxdb.yaml").read_text(encoding="utf-8"))
    uid = sources["datasources"][0]["uid"]
    texts = [path.read_text(encoding="utf-8") for path in FILES]
    asked = [found for text in texts for found in re.findall(r'"datasource": \{[^}]*"uid": "([^"]*)"', text)]
    assert set(asked) == {uid}
    assert sum(text.count('"datasource"') for text in texts) == len(asked)


@pytest.mark.parametrize(("where", "flux"), all_queries(), ids=lambda value: "" if "\n" in value else value)
def test_queries_name_what_the_stream_writes(where: str, flux: str) -> None:
    assert not unknown_names(flux), where


@pytest.mark.parametrize(
    ("flux", "wrong"),
    [
        (points("user_behaviour", "events"), {"user_behaviour"}),
        (points("user_behavior", "event"), {"event"}),
        (points("user_behavior", "events").where('r.type == "view"'), {"type"}),
        (points("user_behavior", "events").keep("_time", "_value", "kind"), {"kind"}),
        (points("recommendation_metrics", "hits").wide("recommender").with_value("r.hits / r.trials"), {"trials"}),
        (replace(points("user_behavior", "events"), measurement="x"), {"x"}),
    ],
)
def test_a_misspelt_name_is_found(flux: object, wrong: set[str]) -> None:
    assert unknown_names(str(flux)) == wrong


def test_every_measurement_is_shown() -> None:
    asked = {name for _, flux in all_queries() for name in re.findall(r'r\._measurement == "(\w+)"', flux)}
    assert asked == FIELDS.keys()


def test_variables_of_a_dashboard_are_used_in_it() -> None:
    for path in FILES:
        dashboard = read(path)
        defined = {one["name"] for one in dashboard["templating"]["list"]}
        used = {name for panel in panels(dashboard) for name in re.findall(r"\$\{(\w+):regex\}", str(panel["targets"]))}
        assert defined == used, path.stem


def test_rules_have_no_dollar_which_grafana_would_replace() -> None:
    text = (GRAFANA / "provisioning/alerting/rules.yaml").read_text(encoding="utf-8")
    assert "$" not in text


def test_rules_say_what_to_do_and_where_to_look() -> None:
    for rule in alerts.provisioned()["groups"][0]["rules"]:
        told = rule["annotations"]
        assert told["summary"] and told["description"] and rule["labels"]["severity"] in ("warning", "critical")
        assert (DASHBOARDS / f"{told['dashboard'].removeprefix('/d/shopstream-')}.json").exists()


def test_the_first_panel_of_the_overview_is_what_its_reader_comes_for() -> None:
    made = behaviour.dashboard()
    assert made.panels and made.panels[0].title == "Conversion"
