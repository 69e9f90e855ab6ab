from __future__ import annotations

import re
from pathlib import Path

import pytest

from spark_apps.cluster.compose import build_inputs

REPOSITORY = Path(__file__).resolve().parents[2]
# which change nothing in a container that runs
LEFT_OUT = {"README.md", "docker/ca-certificates"}


def test_all_that_goes_into_an_image_is_among_its_inputs() -> None:
    text = (REPOSITORY / "docker" / "Dockerfile").read_text()
    copied = {
        word.rstrip("/").replace("[t]", "t")
        for line in re.findall(r"^COPY (?!--from)(.*)$", text, re.MULTILINE)
        for word in [word for word in line.split() if not word.startswith("--")][:-1]
    }
    assert len(copied) > 6
    assert copied - LEFT_OUT == {part for parts in build_inputs.INPUTS.values() for part in parts} - {
        "docker/Dockerfile"
    }


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """One file of the project in a repository."""
    path = tmp_path / "spark_apps" / "cli.py"
    path.parent.mkdir()
    path.write_text("one\n")
    return path


def spark(repository: Path) -> str:
    return build_inputs.of("shopstream/spark:dev", repository)


def test_the_digest_follows_names_and_contents(source: Path, tmp_path: Path) -> None:
    first = spark(tmp_path)
    assert spark(tmp_path) == first
    source.write_text("two\n")
    assert spark(tmp_path) != first
    source.write_text("one\n")
    assert spark(tmp_path) == first
    source.rename(source.with_name("main.py"))
    assert spark(tmp_path) != first


def test_what_is_no_part_of_an_image_changes_nothing(source: Path, tmp_path: Path) -> None:
    first, hadoop = spark(tmp_path), build_inputs.of("shopstream/hadoop:dev", tmp_path)
    for name in ("spark_apps/__pycache__/cli.pyc", "tests/test_cli.py", "README.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("new\n")
    assert spark(tmp_path) == first
    source.write_text("two\n")
    assert build_inputs.of("shopstream/hadoop:dev", tmp_path) == hadoop


def test_the_image_of_somebody_else_has_none(source: Path, tmp_path: Path) -> None:
    for image in ("influxdb:2.7.12", "shopstream/influxdb-from-source:2.9.1", "else/spark:dev"):
        assert build_inputs.of(image, tmp_path) == ""


def test_the_label_is_the_same_that_is_looked_for() -> None:
    text = (REPOSITORY / "compose" / "cluster.yaml").read_text()
    labels = dict(re.findall(r"labels: \{ (\S+): \"\$\{(\w+):-\}\" \}", text))
    assert set(labels) == {build_inputs.LABEL}
    found = set(re.findall(r"\$\{(SHOPSTREAM_\w+_INPUTS):-\}", text))
    assert found == set(build_inputs.variables(REPOSITORY))
