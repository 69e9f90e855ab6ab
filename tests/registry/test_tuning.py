"""`shopstream train --tune`: the best of what was tried is trained with and kept, and a break leaves nothing behind."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from spark_apps.cli import main
from spark_apps.commands.train import _print_training
from spark_apps.errors import TooFewToTuneError
from spark_apps.jobs import train as train_job
from spark_apps.jobs.train import Training, validation
from spark_apps.jobs.train import tune as tune_job
from spark_apps.jobs.train.tune import Ground, Tuning
from spark_apps.registry.versions import ALS, HYBRID, newest
from spark_apps.settings import AlsParameters, BlendWeights, Settings
from spark_apps.tables import EVENTS, DateRange
from tests.engines import local_engine
from tests.factory import write_events_table

TRIALS = 3
# parameters far from any that are good
POOR = {"als": AlsParameters(rank=1, iterations=1), "blend": BlendWeights(affinity=0, popularity=0.4, segment=2)}


def shop_events() -> list[dict[str, Any]]:
    """Users who keep to one of four shelves; ids beyond 32 bits."""
    random = np.random.default_rng(11)
    return [
        {
            "user_id": 2**33 + user,
            "product_id": 2**40 + 15 * (user % 4) + int(product),
            "category_code": ["a.b", "a.c", "d.e", "d.f"][user % 4],
            "brand": ["x", "y"][int(product) % 2],
            "price": 10.0 + int(product),
            "event_time": f"2019-10-0{day} 1{number % 10}:00:00",
        }
        for user in range(60)
        for number, (day, product) in enumerate(zip((1, 1, 2, 2, 3, 4), random.choice(15, 6), strict=True))
    ]


@pytest.fixture(scope="module")
def small(settings: Settings) -> Settings:
    return settings.model_copy(update={"als_library": "implicit", **POOR})


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tuned")
    write_events_table(folder / EVENTS.path, shop_events())
    return folder


@pytest.fixture(autouse=True, scope="module")
def few_are_enough() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(validation, "LEAST", 1)
        patch.setattr(validation, "SHARE", 1.0)
        yield


@pytest.fixture(scope="module")
def tuned(small: Settings, root: Path) -> tuple[Training, list[Tuning]]:
    """A training, and what its tuning found when it was done twice."""
    real, found = tune_job.tune, []

    def twice(settings: Settings, shared: Ground, trials: int) -> Tuning:
        found.extend(real(settings, shared, trials) for _ in range(2))
        return found[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tune_job, "tune", twice)
        return train_job.run(local_engine(), small, root, DateRange(), "2", trials=TRIALS), found


def test_what_is_found_is_no_worse_than_what_was_given(tuned: tuple[Training, list[Tuning]]) -> None:
    tuning = tuned[1][0]
    assert tuning.trials[0].als == POOR["als"]
    assert tuning.best.ndcg >= tuning.trials[0].ndcg >= tuning.given
    assert tuning.best.ndcg > 1.1 * tuning.given


def test_the_same_seed_finds_the_same(tuned: tuple[Training, list[Tuning]]) -> None:
    one, again = tuned[1]
    assert replace(one, seconds=0) == replace(again, seconds=0)


def test_the_best_is_trained_with_and_every_trial_is_kept(tuned: tuple[Training, list[Tuning]], root: Path) -> None:
    training, (tuning, _) = tuned
    for name in (ALS, HYBRID):
        metadata = newest(root, name)[1]
        kept = metadata.metrics["tuning"]
        assert kept == json.loads(json.dumps(tuning.described().figures()))
        assert len(kept["trials"]) == TRIALS and kept["users"] == tuning.users and kept["seed"] == 42
        assert kept["trials"][kept["best"]["trial"]] == kept["best"]
        assert max(trial["ndcg"] for trial in kept["trials"]) == kept["best"]["ndcg"]
    assert tuning.best.als.model_dump().items() <= training.als.parameters.items()
    assert newest(root, HYBRID)[1].parameters["blend"] == tuning.best.blend.model_dump()


def test_the_figure_is_that_of_the_trained_models_validation(tuned: tuple[Training, list[Tuning]]) -> None:
    training, (tuning, _) = tuned
    assert training.als.metrics["validation"]["users"] == tuning.users
    assert training.als.metrics["validation"]["hybrid"]["ndcg"]["value"] == pytest.approx(tuning.best.ndcg, abs=1e-5)


def test_the_version_shows_what_was_tuned_and_how_to_train_so_again(
    tuned: tuple[Training, list[Tuning]], root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = json.loads(CliRunner().invoke(main, ["models", "show", "als", "--root", str(root)]).stdout)
    best = shown["metrics"]["tuning"]["best"]
    assert best["rank"] == shown["parameters"]["rank"]
    _print_training(tuned[0])
    out = capsys.readouterr().out
    assert f"NDCG@10 {best['ndcg']:.4f} in trial {best['trial']} of {TRIALS}" in out
    assert f"--rank {best['rank']} --iterations {best['iterations']} --regularization {best['regularization']}" in out


def test_a_tuning_that_is_cut_short_leaves_nothing(
    small: Settings,
    root: Path,
    tuned: tuple[Training, list[Tuning]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()}
    real, fits = tune_job._fitted, []

    def cut_short(*given: Any) -> Any:
        fits.append(given)
        if len(fits) == 2:
            raise KeyboardInterrupt
        return real(*given)

    monkeypatch.setattr(tune_job, "_fitted", cut_short)
    with pytest.raises(KeyboardInterrupt):
        train_job.run(local_engine(), small, root, DateRange(), "2", trials=TRIALS)
    left = {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()}
    assert {path: time for path, time in left.items() if "temp" not in path.parts} == {
        path: time for path, time in before.items() if "temp" not in path.parts
    }
    assert not [path for path in (root / "temp" / "publish").iterdir() if path.is_dir()]


def test_too_few_users_are_told_before_anything_is_fitted(
    small: Settings, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(validation, "SHARE", 0.05)
    monkeypatch.setattr(validation, "LEAST", 100)
    with pytest.raises(TooFewToTuneError, match="it takes 2,000"):
        train_job.run(local_engine(), small, root, DateRange(), "2", trials=1)


@pytest.mark.parametrize("options", [["--tune", "--trials", "0"], ["--tune", "--trials", "x"], ["--trials", "3"]])
def test_a_wrong_number_of_trials_is_the_user_s_mistake(options: list[str], tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["train", "--root", str(tmp_path), *options])
    assert result.exit_code == 2
    assert "--trials" in result.output
    assert not any(tmp_path.iterdir())
