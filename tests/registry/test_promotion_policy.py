"""The promotion policy: which figures let a version pass, and that its reason names them (SPEC M2)."""

from __future__ import annotations

from typing import Any

import pytest

from spark_apps.registry.promotion_policy import promotion_verdict
from tests.registry.trainings import figures

WITHOUT: list[dict[str, Any]] = [{}, {"validation": None}, {"validation": {}}, {"validation": {"users": 3}}]


@pytest.mark.parametrize(
    ("new", "promoted", "margin", "passed", "reason"),
    [
        # against popularity alone
        (
            figures(0.2, 0.1),
            None,
            0.05,
            True,
            "NDCG@10 0.2000 is no worse than popularity's 0.1000, and no promoted version has figures to compare with",
        ),
        (figures(0.1, 0.1), None, 0.05, True, "NDCG@10 0.1000 is no worse than popularity's 0.1000"),
        (figures(0.0, 0.0), None, 0.05, True, "NDCG@10 0.0000 is no worse"),
        (figures(0.09, 0.1), None, 0.05, False, "NDCG@10 0.0900 is below popularity's 0.1000"),
        (figures(0.0999999, 0.1), None, 0.05, False, "NDCG@10 0.0999999 is below popularity's 0.1000000"),
        (figures(0.09, 0.1), None, 1.0, False, "below popularity's"),  # the margin is not for popularity
        # against the promoted version
        (
            figures(0.2, 0.1),
            figures(0.2, 0.15),
            0.05,
            True,
            "NDCG@10 0.2000 is no worse than popularity's 0.1000, and within 5 % of the promoted version's 0.2000",
        ),
        (figures(0.5, 0.1), figures(0.2, 0.1), 0.05, True, "promoted version's 0.2000"),
        (figures(0.191, 0.1), figures(0.2, 0.1), 0.05, True, "promoted version's 0.200"),
        (
            figures(0.189, 0.1),
            figures(0.2, 0.1),
            0.05,
            False,
            "NDCG@10 0.1890 is below the promoted version's 0.2000 by more than 5 %",
        ),
        (figures(0.189, 0.1), figures(0.2, 0.1), 0.1, True, "within 10 %"),
        (figures(0.195, 0.1), figures(0.2, 0.1), 0.025, True, "within 2.5 %"),
        (figures(0.194, 0.1), figures(0.2, 0.1), 0.025, False, "by more than 2.5 %"),
        (figures(0.2, 0.1), figures(0.2, 0.1), 0.0, True, "within 0 %"),
        (
            figures(0.19999, 0.1),
            figures(0.2, 0.1),
            0.0,
            False,
            "0.19999 is below the promoted version's 0.20000",
        ),
        (figures(0.1, 0.1), figures(0.9, 0.1), 1.0, True, "within 100 %"),
        (figures(0.05, 0.1), figures(0.04, 0.1), 0.05, False, "below popularity's"),  # better than before is not enough
        (figures(0.0, 0.0), figures(0.0, 0.0), 0.05, True, "within 5 % of the promoted version's 0.0000"),
        (figures(float("nan"), 0.1), None, 0.05, False, "NDCG@10 nan is below popularity's"),
        (figures(0.2, float("nan")), None, 0.05, False, "below popularity's nan"),
        # no figures on one side
        *(
            (new, figures(0.2), 0.05, True, "there are no validation figures, so nothing was compared")
            for new in WITHOUT
        ),
        *((figures(0.2), old, 0.05, True, "no promoted version has figures to compare with") for old in WITHOUT),
        *((figures(0.05), old, 0.05, False, "below popularity's") for old in WITHOUT),
        (figures(None, None), None, 0.05, True, "no validation figures"),  # type: ignore[arg-type]  # null in JSON
    ],
)
def test_what_passes(
    new: dict[str, Any], promoted: dict[str, Any] | None, margin: float, passed: bool, reason: str
) -> None:
    verdict = promotion_verdict(new, promoted, margin)
    assert verdict.passed is passed
    assert reason in verdict.reason
    assert not verdict.reason.endswith(".")


def test_figures_under_another_name_do_not_pass_unseen() -> None:
    with pytest.raises(KeyError, match="popularity"):
        promotion_verdict(
            {"validation": {"hybrid": {"ndcg": {"value": 0.2}}, "popular": {"ndcg": {"value": 0.1}}}}, None, 0.05
        )
    with pytest.raises(KeyError, match="ndcg"):
        promotion_verdict(
            {"validation": {"hybrid": {"map": {"value": 0.2}}, "popularity": {"map": {"value": 0.1}}}}, None, 0.05
        )
