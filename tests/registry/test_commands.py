"""`shopstream models`: what is promoted and why, by hand and back, for people and for programs (SPEC M2, Q3)."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from spark_apps.cli import main
from spark_apps.registry.versions import ALS, NAMES, POPULARITY
from spark_apps.tables import model_path
from tests.registry.trainings import V1, V2, V3, all_at, figures, promoted, train


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], env={"COLUMNS": "160"})


def as_json(*arguments: object) -> Any:
    result = run(*arguments)
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """V1 passed the promotion policy, V2 was forced past it, V3 was refused."""
    train(tmp_path, V1, figures(0.3))
    train(tmp_path, V2, figures(0.2), force=True)
    train(tmp_path, V3, figures(0.05))
    return tmp_path


def test_the_list_marks_what_is_promoted_and_what_was_refused_with_the_reasons(root: Path) -> None:
    shown = run("models", "list", "--root", root)
    assert shown.exit_code == 0
    rows = [line for line in shown.stdout.splitlines() if line.startswith("│ als")]
    assert [[cell.strip() for cell in row.strip("│").split("│")][1:3] for row in rows] == [
        [V1, "complete"],
        [V2, "promoted"],
        [V3, "refused"],
    ]
    every, worse = "als, segments, popularity, hybrid", "NDCG@10 0.0500 is below popularity's 0.1000"
    below = "NDCG@10 0.2000 is below the promoted version's 0.3000 by more than 5 %"
    assert shown.stdout.splitlines()[-2:] == [
        f"{every}: version {V2} is promoted by --force although {below}.",
        f"{every}: version {V3} is refused by the promotion policy: {worse}.",
    ]
    assert shown.stderr.startswith("Next: shopstream models show als")


def test_the_list_says_that_the_promoted_version_is_gone(root: Path) -> None:
    shutil.rmtree(root / model_path(ALS, V2))
    shown = run("models", "list", "--root", root).stdout
    assert f"als: version {V2} is promoted by --force although" in shown
    assert "5 %. It is gone or incomplete: the newest complete is used.\n" in shown
    assert f"segments, popularity, hybrid: version {V2} is promoted by --force" in shown
    assert f"made with version {V2}, while version {V3} of model als is in use" in shown


def test_the_list_for_programs(root: Path) -> None:
    listed = [one for one in as_json("models", "list", "--root", root, "--json") if one["name"] == ALS]
    assert [(one["version"], one["complete"], one["promoted"]) for one in listed] == [
        (V1, True, False),
        (V2, True, True),
        (V3, True, False),
    ]
    assert [one["gate"]["passed"] for one in listed] == [True, False, False]
    assert [one["promotion"]["by"] if one["promotion"] else None for one in listed] == [None, "force", None]
    assert "below popularity's" in listed[2]["gate"]["reason"]


def test_the_promoted_version_is_shown_unless_another_is_asked_for(root: Path) -> None:
    shown = as_json("models", "show", ALS, "--root", root)
    assert (shown["version"], shown["promotion"]["by"], shown["gate"]["passed"]) == (V2, "force", False)
    assert [one["version"] for one in shown["promotions"]] == [V1, V2]
    refused = run("models", "show", ALS, "--version", V3, "--root", root)
    other = json.loads(refused.stdout)
    assert (other["version"], other["promotion"], other["gate"]["passed"]) == (V3, None, False)
    assert refused.stderr == f"Next: shopstream models promote als {V3}, if jobs should use this version\n"


@pytest.mark.parametrize("version", ["20200101T000000Z", "..", f"../als/{V1}"])
def test_a_version_that_is_not_there_is_neither_shown_nor_promoted(root: Path, version: str) -> None:
    for arguments in (["show", ALS, "--version", version], ["promote", ALS, version], ["promote", "all", version]):
        result = run("models", *arguments, "--root", root)
        assert result.exit_code == 2
        assert result.stderr.startswith(f"Error: There is no complete version {version} of model als: see")
    assert promoted(root) == all_at(V2)


def test_promoting_says_what_was_before_and_how_the_lists_are_made_anew(root: Path) -> None:
    done = run("models", "promote", ALS, V3, "--reason", "to try it", "--root", root)
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        f"Model als: version {V3} is promoted (before: {V2}).",
        *(f"Model {name} stays at version {V2}; `all` moves every model." for name in NAMES if name != ALS),
        f"Table recommendations was made with version {V2}, while version {V3} of model als is in use.",
    ]
    assert done.stderr == (
        "Next: shopstream train --from 2019-10-01 --to 2019-10-31 --seed 7 --als implicit --rank 50 --iterations 15 "
        "--force makes new models and tables of the same events; `recommend --user` needs none of it\n"
    )
    shown = run("models", "list", "--root", root)
    assert f"als: version {V3} is promoted by hand: to try it.\n" in shown.stdout
    assert f"Table recommendations was made with version {V2}" in shown.stdout
    assert "Next: shopstream train --from" in shown.stderr


def test_promoting_and_rolling_back_for_programs(root: Path) -> None:
    [moved] = as_json("models", "promote", ALS, V3, "--root", root, "--json")
    assert (moved["name"], moved["version"], moved["by"]) == (ALS, V3, "hand")
    assert [one["version"] for one in moved["history"]] == [V1, V2]
    for before in (V2, V1):
        [moved] = as_json("models", "rollback", ALS, "--root", root, "--json")
        assert (moved["version"], moved["by"]) == (before, "rollback")
    assert promoted(root) == {**all_at(V2), ALS: V1}


def test_all_models_are_promoted_and_rolled_back_together(root: Path) -> None:
    done = run("models", "promote", "all", V3, "--root", root)
    assert promoted(root) == all_at(V3)
    assert [line.split(":")[0] for line in done.stdout.splitlines()[: len(NAMES)]] == [
        f"Model {name}" for name in NAMES
    ]
    assert "stays" not in done.stdout
    back = run("models", "rollback", "all", "--root", root)
    assert promoted(root) == all_at(V2)
    assert back.stderr == "Next: shopstream recommend --user ID, or shopstream models list\n"  # the tables fit again


def test_a_model_without_the_version_stays_and_is_named(root: Path) -> None:
    shutil.rmtree(root / model_path(POPULARITY, V1))
    done = run("models", "promote", "all", V1, "--root", root)
    assert done.exit_code == 0
    assert promoted(root) == {**all_at(V1), POPULARITY: V2}
    assert f"Model popularity stays at version {V2}; `all` moves every model." in done.stdout


def test_a_rollback_without_a_way_back_says_what_to_do(tmp_path: Path) -> None:
    train(tmp_path, V1)
    result = run("models", "rollback", ALS, "--root", tmp_path)
    assert result.exit_code == 2
    assert result.stderr == (
        "Error: No complete version of model als was promoted before the present one: choose one of `shopstream models "
        "list` with `shopstream models promote als VERSION`.\n"
    )
