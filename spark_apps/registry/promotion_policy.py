"""The promotion policy: whether a new version may take the promoted one's place, by what both measured (SPEC M2)."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

# metrics[VALIDATION][VALIDATED or BASELINE][FIGURE]["value"], see jobs/train/validation.py; FIGURE_NAME is for people
VALIDATION, VALIDATED, BASELINE = "validation", "hybrid", "popularity"
FIGURE, FIGURE_NAME = "ndcg", "NDCG@10"
_DIGITS, _MOST_DIGITS = 4, 17


class Verdict(BaseModel):
    """What the promotion policy says of a version.

    Attributes:
        passed: whether it may be promoted.
        reason: why, as a sentence without its full stop, with the figures.
    """

    model_config = ConfigDict(frozen=True)

    passed: bool
    reason: str


def promotion_verdict(new: dict[str, Any], promoted: dict[str, Any] | None, margin: float) -> Verdict:
    """Decides about a new version by its NDCG@10 on the validation part of its events.

    It passes when that is no worse than popularity's on the same part, and not below the promoted version's by more
    than the margin. Without figures there is nothing to compare, and it passes.

    Args:
        new: metrics of the new version.
        promoted: metrics of the promoted version; None where there is none.
        margin: share of the promoted version's figure that may be lost, 0.05 for 5 %.

    Raises:
        KeyError: when the validation names one of the models and not the other, which is a fault of the program.
    """
    figure, baseline = _figure(new, VALIDATED), _figure(new, BASELINE)
    if figure is None or baseline is None:
        return Verdict(passed=True, reason="there are no validation figures, so nothing was compared")
    ours, theirs = _told_apart(figure, baseline)
    if not figure >= baseline:  # so that nan is refused too
        return Verdict(passed=False, reason=f"{FIGURE_NAME} {ours} is below popularity's {theirs}")
    passed = f"{FIGURE_NAME} {ours} is no worse than popularity's {theirs}"
    before = _figure(promoted, VALIDATED) if promoted is not None else None
    if before is None:
        return Verdict(passed=True, reason=f"{passed}, and no promoted version has figures to compare with")
    ours, theirs = _told_apart(figure, before)
    if not figure >= before * (1 - margin):
        lost = f"{FIGURE_NAME} {ours} is below the promoted version's {theirs}"
        return Verdict(passed=False, reason=f"{lost} by more than {100 * margin:g} %")
    return Verdict(passed=True, reason=f"{passed}, and within {100 * margin:g} % of the promoted version's {theirs}")


def _figure(metrics: dict[str, Any], model: str) -> float | None:
    validation = metrics.get(VALIDATION) or {}
    if VALIDATED not in validation and BASELINE not in validation:
        return None
    figure: float = validation[model][FIGURE]["value"]
    return figure


def _told_apart(one: float, other: float) -> tuple[str, str]:
    """Both with as many digits as it takes to see that they differ."""
    for digits in range(_DIGITS, _MOST_DIGITS):
        if f"{one:.{digits}f}" != f"{other:.{digits}f}":
            break
    else:
        digits = _DIGITS
    return f"{one:.{digits}f}", f"{other:.{digits}f}"
