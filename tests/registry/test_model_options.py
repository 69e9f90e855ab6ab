"""Parameters of models as options: given to a command, kept with a version, and named again for the next training."""

from __future__ import annotations

from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from spark_apps.cli import main
from spark_apps.commands.common import model_options
from spark_apps.registry.serving import model_options_of
from spark_apps.settings import MODEL_OPTIONS, Settings, load_settings

GIVEN = {
    "als": "mllib",
    "rank": 7,
    "iterations": 3,
    "regularization": 0.5,
    "alpha": 10.0,
    "affinity-weight": 0.2,
    "content-weight": 0.0,
    "popularity-weight": 0.3,
    "segment-weight": 0.4,
}


def settings_of(options: dict[str, Any]) -> tuple[Settings, Result]:
    found: list[Settings] = []

    @click.command()
    @model_options
    def command(model: dict[str, Any]) -> None:
        found.append(load_settings(**model))

    result = CliRunner().invoke(command, [f"--{name}={value}" for name, value in options.items()])
    assert result.exit_code == 0, result.output
    return found[0], result


def test_what_is_given_reaches_the_settings_and_comes_back_from_a_version() -> None:
    assert list(GIVEN) == list(MODEL_OPTIONS)
    settings, _ = settings_of(GIVEN)
    kept = {**settings.als.model_dump(), "als": settings.als_library, "blend": settings.blend.model_dump(), "k": 5}
    assert model_options_of(kept) == GIVEN


def test_what_is_not_given_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOPSTREAM_ALS__ALPHA", "3")
    settings, _ = settings_of({"rank": 8, "segment-weight": 1})
    assert (settings.als.rank, settings.als.alpha, settings.als.iterations) == (8, 3.0, 15)
    assert settings.blend.model_dump() == {**Settings().blend.model_dump(), "segment": 1.0}


@pytest.mark.parametrize("command", ["train", "evaluate"])
@pytest.mark.parametrize(
    ("option", "value"), [("alpha", "0"), ("content-weight", "-1"), ("rank", "0"), ("als", "x"), ("engine", "x")]
)
def test_what_no_model_can_have_is_refused(command: str, option: str, value: str) -> None:
    result = CliRunner().invoke(main, [command, f"--{option}", value])
    assert result.exit_code == 2
    assert f"--{option}" in result.output
