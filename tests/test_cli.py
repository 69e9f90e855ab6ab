"""The command line: help that holds, errors in one sentence, JSON alone on standard output (SPEC Q3, M2)."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from pyarrow.dataset import dataset

from spark_apps import __version__
from spark_apps.cli import main
from spark_apps.jobs import load as load_job
from spark_apps.registry.versions import ALS, NAMES, Metadata, newest, write_metadata
from spark_apps.tables import EVENTS, METADATA, model_path
from tests.factory import csv_line, write_log
from tests.terminal import WARNINGS_ARE_ERRORS, strange_lines

REPOSITORY = Path(__file__).resolve().parents[1]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def the_error(result: Result) -> str:
    """The one sentence of a user's error, checked to be all there is."""
    assert result.exit_code == 2, result.stderr
    assert result.stdout == ""
    [line] = result.stderr.splitlines()
    assert line.startswith("Error: ") and line.endswith(".")
    return line.removeprefix("Error: ")


def commands(group: click.Group = main, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


COMMANDS = dict(commands())


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_tells_its_options_and_an_example_that_parses(name: str) -> None:
    shown = run(*name.split(), "--help")
    assert shown.exit_code == 0
    for option in COMMANDS[name].params:
        if isinstance(option, click.Option):
            assert option.help, f"{name} {option.opts[0]} has no help"
            assert option.opts[0] in shown.stdout
    found = re.search(rf"Example: shopstream ({name}\b.*)", shown.stdout)
    assert found, f"no example in the help of {name}"
    parses(shlex.split(found.group(1).split(" > ")[0]))


def parses(arguments: list[str]) -> None:
    group, context = main, main.make_context("shopstream", list(arguments))
    while True:
        name, command, rest = group.resolve_command(context, [*context._protected_args, *context.args])
        assert command is not None
        context = command.make_context(name, rest, parent=context)
        if not isinstance(command, click.Group):
            return
        group = command


def test_the_commands_named_in_the_first_help_exist() -> None:
    shown = run("--help").stdout
    first, own = re.search(r"First try:\s+shopstream (\w+)", shown), re.search(r"Your data:\s+shopstream (.*)", shown)
    assert first and own
    there = set(main.list_commands(click.Context(main)))
    assert {first.group(1), *re.findall(r"[a-z]+", own.group(1))} - {"then"} <= there
    assert run("--version").stdout == f"shopstream, version {__version__}\n"


def test_a_user_s_error_is_one_sentence(tmp_path: Path) -> None:
    assert the_error(run("load", tmp_path / "no.csv")) == f"There is no file {tmp_path / 'no.csv'}: check the name."


def test_debug_shows_the_trace_of_a_user_s_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOPSTREAM_DEBUG", "false")  # so that what --debug sets ends with this test
    result = run("--debug", "load", tmp_path / "no.csv")
    assert result.exit_code == 2
    assert result.stderr.startswith("Traceback (most recent call last):")
    assert "in readable_file" in result.stderr
    assert result.stderr.splitlines()[-1] == f"Error: There is no file {tmp_path / 'no.csv'}: check the name."


def test_a_fault_of_the_program_is_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*given: object) -> None:
        raise RuntimeError("first line\nsecond line")

    monkeypatch.setattr(load_job, "run", broken)
    result = run("load", write_log(tmp_path / "log.csv", []), "--root", tmp_path)
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        "Fault in shopstream: RuntimeError: first line",
        "Run it again as `shopstream --debug ...` and report what it prints.",
    ]
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nothing"], "No such command 'nothing'"),
        (["load"], "Missing argument 'FILE...'"),
        (["clean", "--from", "1.10.2019"], "'1.10.2019' does not match the format '%Y-%m-%d'"),
        (["train", "--k", "1"], "'1' is neither a number from 2 nor auto"),
        (["train", "--als", "fast"], "'fast' is not one of 'auto', 'implicit', 'mllib'"),
        (["recommend"], "Name a user with --user, or ask for everybody with --all."),
        (["recommend", "--all", "--user", "1"], "it goes without --user and --top"),
        (["recommend", "--all", "--top", "5"], "it goes without --user and --top"),
        (["recommend", "--user", "someone"], "'someone' is not a valid integer"),
        (["recommend", "--user", "1", "--top", "0"], "0 is not in the range 1<=x<=1000"),
        (["models", "show", "other"], "'other' is not one of 'als', 'segments', 'popularity'"),
    ],
)
def test_a_wrong_command_line_says_what_is_wrong_with_it(arguments: list[str], told: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert told in " ".join(result.stderr.split())
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("SHOPSTREAM_TOP", "0", "Setting top cannot be '0': Input should be greater than or equal to 1."),
        ("SHOPSTREAM_SEED", "x", "Setting seed cannot be 'x': Input should be a valid integer"),
        ("SHOPSTREAM_ENGINE", "x", "Setting engine cannot be 'x': Input should be 'auto', 'local' or 'spark'."),
        ("SHOPSTREAM_SCORES__CAP", "0", "Setting scores.cap cannot be '0': Input should be greater than 0."),
        ("SHOPSTREAM_SCORES", "x", 'error parsing value for field "scores"'),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(
    variable: str, value: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    assert told in the_error(run("recommend", "--user", 1, "--root", tmp_path))


@pytest.mark.parametrize("arguments", [["models", "list"], ["models", "show", "als"], ["recommend", "--user", 1]])
def test_without_models_the_command_that_makes_them_is_named(arguments: list[object], tmp_path: Path) -> None:
    assert "run `shopstream train`" in the_error(run(*arguments, "--root", tmp_path))


def test_json_is_alone_on_standard_output(tmp_path: Path) -> None:
    log = write_log(tmp_path / "log.csv", [csv_line()])
    result = run("load", log, log, "--root", tmp_path / "root", "--json")
    landed = json.loads(result.stdout)
    assert [(one["file"], one["rows"], one["new"]) for one in landed] == [("log.csv", 1, True), ("log.csv", 1, False)]


def test_what_was_loaded_is_shown_in_a_table(tmp_path: Path) -> None:
    result = run("load", write_log(tmp_path / "[bold] log.csv", [csv_line()] * 1234), "--root", tmp_path / "root")
    assert result.exit_code == 0
    for shown in ("[bold] log.csv", "1,234", "new"):
        assert shown in result.stdout
    assert result.stderr == "Next: shopstream clean\n"


@pytest.mark.usefixtures("java")
def test_clean_from_the_shell_in_another_time_zone(tmp_path: Path) -> None:
    lines = [csv_line(event_time="2019-10-01 00:30:00 UTC"), csv_line(event_time="2019-11-03 23:30:00 UTC"), "x"]
    run("load", write_log(tmp_path / "log.csv", lines), "--root", tmp_path / "root")
    command = [sys.executable, "-m", "spark_apps", "clean", "--root", "root", "--master", "local[2]", "--json"]
    environment = {**os.environ, **WARNINGS_ARE_ERRORS, "TZ": "America/New_York", "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True, timeout=120
    )
    assert strange_lines(done.stderr) == []
    assert json.loads(done.stdout) == [
        {"date": "2019-10-01", "raw": 1, "clean": 1, "quarantined": {}},
        {"date": "2019-11-03", "raw": 1, "clean": 1, "quarantined": {}},
        {"date": "no date", "raw": 1, "clean": 0, "quarantined": {"wrong_columns": 1}},
    ]
    assert "2 clean rows" in done.stderr
    times = dataset(tmp_path / "root" / EVENTS.path).to_table(columns=["event_time"]).column(0).to_pylist()
    utc = [datetime(2019, 10, 1, 0, 30, tzinfo=timezone.utc), datetime(2019, 11, 3, 23, 30, tzinfo=timezone.utc)]
    assert sorted(times) == utc
    assert [path.name for path in (tmp_path / "root" / "temp" / "spark").iterdir() if path.is_dir()] == []


@pytest.mark.usefixtures("java")
def test_a_heap_that_java_cannot_have_is_a_user_s_error(tmp_path: Path) -> None:
    environment = {**os.environ, "SHOPSTREAM_DRIVER_MEMORY": "plenty", "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-m", "spark_apps", "features", "--engine", "spark", "--root", str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("Error: Spark did not start") and "SHOPSTREAM_DRIVER_MEMORY" in last


def stage_version(root: Path, name: str, version: str) -> Path:
    """Writes a model version as a training does, with a few files of its own."""
    folder = root / model_path(name, version)
    (folder / "itemFactors").mkdir(parents=True)
    (folder / "itemFactors" / "part-0.parquet").write_bytes(b"x" * 1000)
    known = {"first_date": "2019-10-01", "last_date": "2019-10-31", "users": 3, "products": 2, "interactions": 5}
    write_metadata(
        folder,
        Metadata.describe(name=name, version=version, seed=1, segments=[], parameters={}, metrics={}, **known),
    )
    return folder


def cut_short(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


DAMAGES: dict[str, Callable[[Path], None]] = {
    "no metadata": lambda folder: (folder / METADATA).unlink(),
    "metadata cut short": lambda folder: cut_short(folder / METADATA),
    "empty metadata": lambda folder: (folder / METADATA).write_text(""),
    "a file missing": lambda folder: (folder / "itemFactors" / "part-0.parquet").unlink(),
    "a file cut short": lambda folder: cut_short(folder / "itemFactors" / "part-0.parquet"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_half_written_model_is_shown_as_such_and_never_used(damage: str, tmp_path: Path) -> None:
    older, newer = "20191101T000000Z", "20191102T000000Z"
    for version in (older, newer):
        stage_version(tmp_path, ALS, version)
    assert newest(tmp_path, ALS)[1].version == newer
    DAMAGES[damage](tmp_path / model_path(ALS, newer))
    listed = json.loads(run("models", "list", "--root", tmp_path, "--json").stdout)
    assert [(one["version"], one["complete"]) for one in listed] == [(older, True), (newer, False)]
    rows = [line for line in run("models", "list", "--root", tmp_path).stdout.splitlines() if ALS in line]
    assert [re.findall("complete|INCOMPLETE", line) for line in rows] == [["complete"], ["INCOMPLETE"]]
    assert newest(tmp_path, ALS)[1].version == older
    assert json.loads(run("models", "show", ALS, "--root", tmp_path).stdout)["version"] == older
    refused = the_error(run("models", "show", ALS, "--version", newer, "--root", tmp_path))
    assert f"no complete version {newer} of model als" in refused


def test_every_model_is_listed_with_its_versions(tmp_path: Path) -> None:
    for name in NAMES:
        stage_version(tmp_path, name, "20191101T000000Z")
    shown = run("models", "list", "--root", tmp_path).stdout
    assert all(name in shown for name in NAMES)
    assert "2019-10-01 to 2019-10-31" in shown
