"""Tries again what fails only for now: one policy for every server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception, wait_exponential

Result = TypeVar("Result")

_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.1, 3.0


def keep_trying(
    action: Callable[[], Result],
    is_passing: Callable[[BaseException], bool],
    patience: Callable[[], float],
    longest_pause: float = _LONGEST_PAUSE_SECONDS,
    **options: Any,
) -> Result:
    """Returns what an action returns, after as many failures as it takes, with growing pauses between them.

    Args:
        action: may have been done although its answer was lost, so it must look before it acts.
        is_passing: says of an error whether it may go away by itself; any other one is raised at once.
        patience: seconds since the first try after which a failure is final; asked anew after each failure.
        longest_pause: seconds.
        options: of tenacity's Retrying, such as `sleep`.

    Raises:
        Exception: the action's last one.
    """

    def is_over(state: RetryCallState) -> bool:
        return (state.seconds_since_start or 0.0) >= patience()

    pauses = wait_exponential(_FIRST_PAUSE_SECONDS, longest_pause)
    policy = Retrying(retry=retry_if_exception(is_passing), stop=is_over, wait=pauses, reraise=True, **options)
    return policy(action)
