"""The search tries what it is given first, finds a hill, and is the same again with the same seed."""

from __future__ import annotations

from optuna.distributions import FloatDistribution, IntDistribution

from spark_apps.evaluation.search import Point, best_of, maximise

SPACE = {"rank": IntDistribution(2, 20, step=2), "alpha": FloatDistribution(0.1, 100.0, log=True)}
START: Point = {"rank": 1, "alpha": 1000.0}  # outside of both ranges


def hill(point: Point) -> float:
    return -abs(point["rank"] - 8) - abs(point["alpha"] - 10) / 10


def test_the_starts_come_first_and_once_and_the_budget_is_kept() -> None:
    found = maximise(SPACE, [START, START, {"rank": 4, "alpha": 1.0}], 6, 42, hill)
    assert [one.point for one in found[:2]] == [START, {"rank": 4, "alpha": 1.0}]
    assert len(found) == 6
    assert [one.point for one in maximise(SPACE, [START, START], 1, 42, hill)] == [START]


def test_the_same_seed_tries_the_same_points() -> None:
    one, again, other = (maximise(SPACE, [START], 12, seed, hill) for seed in (42, 42, 7))
    assert one == again != other


def test_points_are_inside_the_ranges_and_short() -> None:
    for one in maximise(SPACE, [], 12, 42, hill):
        assert one.point["rank"] in range(2, 21, 2) and 0.1 <= one.point["alpha"] <= 100
        assert one.point["alpha"] == float(f"{one.point['alpha']:.4g}")


def test_a_hill_is_climbed() -> None:
    found = maximise(SPACE, [START], 60, 42, hill)
    assert best_of(found).figure > -1.5
    assert best_of([found[0], found[0]]) is found[0]
