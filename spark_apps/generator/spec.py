"""What the generator is asked for."""

from __future__ import annotations

from dataclasses import dataclass

from spark_apps.generator.calibration import load_calibration
from spark_apps.generator.clock import month_number

_LARGEST_SEED = (1 << 63) - 1
_MOST_REMOVALS = 0.9


@dataclass(frozen=True)
class GeneratorSpec:
    """What to make.

    Attributes:
        events: number of events, 1 or more.
        month: such as "2019-10", up to "2029-09".
        seed: whole number from 0; the same seed makes the same bytes.
        users: distinct users to expect; by default events / 14.05, as in October 2019. Give two months the
            same number to see the same people again.
        removals: chance that the event after a cart is remove_from_cart, 0 to 0.9.

    Raises:
        ValueError: a value outside these limits.
    """

    events: int
    month: str
    seed: int
    users: int | None = None
    removals: float = 0.0

    def __post_init__(self) -> None:
        month_number(self.month)
        if self.events < 1:
            raise ValueError(f"{self.events} events cannot be made: ask for 1 or more.")
        if not 0 <= self.seed <= _LARGEST_SEED:
            raise ValueError(f"The seed {self.seed} is out of range: take one from 0 to {_LARGEST_SEED}.")
        if self.users is not None and self.users < 1:
            raise ValueError(f"{self.users} users cannot make events: ask for 1 or more.")
        if not 0 <= self.removals <= _MOST_REMOVALS:
            raise ValueError(f"removals is {self.removals}: take a number from 0 to {_MOST_REMOVALS}.")

    @property
    def month_number(self) -> int:
        """Months since October 2019."""
        return month_number(self.month)

    @property
    def expected_users(self) -> int:
        """Distinct users to expect."""
        if self.users is not None:
            return self.users
        october = load_calibration().october
        users_per_event: float = october["users"] / october["events"]
        return max(1, round(self.events * users_per_event))
