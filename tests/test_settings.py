"""Settings: the command line goes before the environment, the environment before the defaults."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from spark_apps.errors import UserError
from spark_apps.settings import GIB, Settings, default_driver_memory, host_memory, load_settings, local_root


def test_the_defaults_are_those_of_the_documentation() -> None:
    settings = load_settings()
    assert (settings.root, settings.master, settings.seed, settings.engine) == ("data", "local[*]", 42, "auto")
    assert settings.scores.model_dump() == {
        "view": 1.0,
        "cart": 3.0,
        "purchase": 5.0,
        "remove_from_cart": -1.0,
        "cap": 10.0,
    }
    assert settings.als.model_dump() == {"rank": 50, "iterations": 15, "regularization": 0.1, "alpha": 1.0}
    assert (settings.top, settings.exclude_purchased, settings.exclude_viewed) == (10, True, False)


def test_the_environment_changes_a_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOPSTREAM_SEED", "7")
    monkeypatch.setenv("SHOPSTREAM_SCORES__PURCHASE", "8")
    settings = load_settings()
    assert settings.seed == 7
    assert (settings.scores.purchase, settings.scores.cart) == (8.0, 3.0)


def test_the_command_line_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOPSTREAM_ROOT", "from-environment")
    monkeypatch.setenv("SHOPSTREAM_SEED", "7")
    settings = load_settings(root="from-command", seed=None)
    assert (settings.root, settings.seed) == ("from-command", 7)


def test_a_rank_on_the_command_line_leaves_the_environment_s_iterations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOPSTREAM_ALS__ITERATIONS", "3")
    settings = load_settings(als={"rank": 8})
    assert (settings.als.rank, settings.als.iterations, settings.als.alpha) == (8, 3, 1.0)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"seed": "many"}, "seed"),
        ({"engine": "other"}, "engine"),
        ({"top": 0}, "top"),
        ({"shuffle_partitions": 0}, "shuffle_partitions"),
        ({"als": {"rank": 0}}, "als.rank"),
        ({"scores": {"cap": 0}}, "scores.cap"),
    ],
)
def test_a_value_that_cannot_be_used_is_named_with_the_reason(given: dict[str, object], named: str) -> None:
    with pytest.raises(UserError, match=rf"^Setting {named} cannot be .+: .+\.$"):
        load_settings(**given)


def test_a_value_from_the_environment_is_named_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOPSTREAM_CLUSTER_CURVE_USERS", "5")
    with pytest.raises(UserError, match="cluster_curve_users cannot be '5'"):
        load_settings()


def test_settings_do_not_change_while_a_job_runs() -> None:
    with pytest.raises(ValidationError):
        Settings().seed = 1


def test_the_local_heap_leaves_room_for_the_rest_of_the_machine() -> None:
    heap = int(default_driver_memory().removesuffix("g")) * GIB
    assert GIB <= heap <= 6 * GIB
    assert heap <= max(GIB, host_memory() // 4)


def test_a_root_is_a_folder_or_a_file_uri(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert local_root(Settings(root="data")) == tmp_path / "data"
    assert local_root(Settings(root=f"file://{tmp_path}")) == tmp_path
    assert local_root(Settings(root="~/data")) == Path.home() / "data"


def test_a_command_that_needs_a_folder_refuses_hdfs_with_what_to_do() -> None:
    with pytest.raises(UserError, match=r"works in a folder of this machine; name one"):
        local_root(Settings(root="hdfs://namenode/data"))


@pytest.mark.parametrize("value", ["inf", "-inf", "nan", "1e999"])
@pytest.mark.parametrize("name", ["BLEND__POPULARITY", "SCORES__VIEW", "SCORES__CAP", "ALS__ALPHA", "GATE_MARGIN"])
def test_no_setting_is_infinite_or_no_number(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"SHOPSTREAM_{name}", value)
    named = name.lower().replace("__", ".")
    with pytest.raises(UserError, match=rf"^Setting {named} cannot be '{value}': .+\.$"):
        load_settings()


@pytest.mark.parametrize(
    ("size", "expected"),
    [("12g", 12 * GIB), ("512M", GIB // 2), (" 2048k ", None), ("1073741824", GIB), ("70000000", 70_000_000)],
)
def test_sizes_are_bytes_or_have_a_unit(size: str, expected: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same variable is the budget of a cluster, where people write 12g."""
    monkeypatch.setenv("SHOPSTREAM_MEMORY", size)
    if expected is None:
        with pytest.raises(UserError, match="memory"):
            load_settings()
    else:
        assert load_settings().memory == expected


@pytest.mark.parametrize("size", ["12 gigs", "g", "-1g", "lots"])
def test_what_is_no_size_is_refused(size: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOPSTREAM_MEMORY", size)
    with pytest.raises(UserError, match="memory"):
        load_settings()
