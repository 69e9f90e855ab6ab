"""`shopstream train` and the promotion policy: what a refusal leaves in use, and how the command ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pyarrow.dataset as ds
import pytest

from spark_apps.commands.train import _print_training
from spark_apps.jobs import recommend, segment
from spark_apps.jobs import train as train_job
from spark_apps.jobs.train import Training
from spark_apps.registry.alias import read_alias
from spark_apps.registry.promotion import Decision, promote
from spark_apps.registry.serving import current, stale_tables
from spark_apps.registry.versions import ALS, NAMES, SEGMENTS, newest
from spark_apps.settings import AlsParameters, Settings
from spark_apps.tables import EVENTS, RECOMMENDATIONS, DateRange
from tests.conftest import REPOSITORY
from tests.engines import local_engine
from tests.factory import write_events_table
from tests.recommendation.test_small_shop import USUAL, shop_events
from tests.registry.trainings import V1

RANK, RANK_OF_REFUSED = 4, 2
# The command, with figures that the promotion policy refuses planted where a validation puts its own.
REFUSED = """
from spark_apps.cli import main
from spark_apps.jobs import train
from tests.registry.trainings import figures

real = train._recommend

def with_figures(*given, **options):
    metadata = real(*given, **options)
    metadata.metrics |= figures(0.05)
    return metadata

train._recommend = with_figures
main()
"""


@pytest.fixture(scope="module")
def small(settings: Settings) -> Settings:
    return settings.model_copy(update={"als": AlsParameters(rank=RANK, iterations=3), "als_library": "implicit"})


@pytest.fixture(scope="module")
def first(small: Settings, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Training]:
    """A shop whose first training was promoted."""
    folder = tmp_path_factory.mktemp("shop")
    write_events_table(folder / EVENTS.path, shop_events())
    return folder, train_job.run(local_engine(), small, folder, DateRange(), "3")


@pytest.fixture(scope="module")
def root(first: tuple[Path, Training]) -> Path:
    return first[0]


@pytest.fixture(scope="module")
def refused(root: Path) -> subprocess.CompletedProcess[str]:
    """The second training, by the command."""
    command = [sys.executable, "-c", REFUSED, "train", "--root", str(root), "--json"]
    command += ["--k", "3", "--rank", str(RANK_OF_REFUSED), "--iterations", "3", "--als", "implicit"]
    environment = {**os.environ, "SHOPSTREAM_DRIVER_MEMORY": "1g"}
    return subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False, timeout=300
    )


def versions_used(root: Path) -> set[str]:
    return {current(root, name)[1].version for name in NAMES}


def test_a_training_without_figures_is_promoted_and_says_so(
    first: tuple[Path, Training], capsys: pytest.CaptureFixture[str]
) -> None:
    root, training = first
    alias = read_alias(root, ALS)
    assert alias is not None and alias.latest() == training.decision.promotion
    _print_training(training)
    shown = capsys.readouterr()
    told = "is promoted: there are no validation figures, so nothing was compared"
    assert shown.out.splitlines()[-2:] == [
        f"Model version {alias.version}: lists for {len(USUAL) + 2} users",
        f"Models: version {alias.version} {told}.",
    ]
    assert shown.err == "Next: shopstream recommend --user ID, or shopstream report\n"


@pytest.mark.parametrize(
    ("kept", "told"),
    [
        (
            ("recommendations", "user_segments"),
            "Tables recommendations and user_segments stay as they were, with the promoted version.",
        ),
        ((), "No version is promoted, so jobs use the newest complete one, which is this."),
    ],
)
def test_a_refusal_says_what_is_used_and_what_can_be_done(
    kept: tuple[str, ...], told: str, first: tuple[Path, Training], capsys: pytest.CaptureFixture[str]
) -> None:
    _print_training(replace(first[1], decision=Decision(V1, None, "it is too bad", kept)))
    shown = capsys.readouterr()
    assert f"Models: version {V1} is not promoted: it is too bad.\n" in shown.out
    assert f"{told}\n" in shown.out
    assert ("lists for" in shown.out) == (not kept)
    assert shown.err == f"Next: shopstream models promote all {V1} to use it nevertheless, or train with --force\n"


def test_a_refused_training_ends_with_a_code_of_its_own_and_the_reason(
    root: Path, refused: subprocess.CompletedProcess[str]
) -> None:
    assert refused.returncode == 3, refused.stderr
    promotion = json.loads(refused.stdout)["promotion"]
    assert promotion == {
        "version": newest(root, ALS)[1].version,
        "promoted": False,
        "by": None,
        "reason": "NDCG@10 0.0500 is below popularity's 0.1000",
        "kept_tables": ["recommendations", "user_segments"],
    }
    assert f"version {promotion['version']} is not promoted: {promotion['reason']}" in refused.stderr


def test_after_a_refusal_the_promoted_models_and_their_lists_are_in_use(
    root: Path, small: Settings, refused: subprocess.CompletedProcess[str]
) -> None:
    [version] = versions_used(root)
    assert version != newest(root, ALS)[1].version
    assert stale_tables(root) == []
    rows = ds.dataset(root / RECOMMENDATIONS.path, format="parquet").to_table().to_pylist()
    for user in USUAL:
        listed = sorted((row for row in rows if row["user_id"] == user), key=lambda row: row["rank"])
        found = recommend.run(small, root, user, 10)
        assert [one.product_id for one in found] == [row["product_id"] for row in listed]
        assert [one.score for one in found] == pytest.approx([row["score"] for row in listed], abs=1e-5)


def test_a_refused_version_promoted_by_hand_is_recommended_from(
    root: Path, small: Settings, refused: subprocess.CompletedProcess[str]
) -> None:
    before, folder = recommend.run(small, root, USUAL[0], 10), current(root, ALS)[0]
    promote(root, NAMES, newest(root, ALS)[1].version)
    assert current(root, ALS)[0] != folder
    assert current(root, ALS)[1].parameters["rank"] == RANK_OF_REFUSED
    found = recommend.run(small, root, USUAL[0], 10)
    assert [one.score for one in found] != [one.score for one in before]
    assert [stale.table for stale in stale_tables(root)] == ["recommendations", "user_segments"]


def test_segment_alone_promotes_what_it_made(small: Settings, root: Path) -> None:
    metadata = segment.run(local_engine(), small, root, "2")
    assert current(root, SEGMENTS)[1].version == metadata.version
    alias = read_alias(root, SEGMENTS)
    assert alias is not None and alias.reason == "made by `shopstream segment`, which has no promotion policy"
    assert "user_segments" not in [stale.table for stale in stale_tables(root)]
