"""What analysis.json holds."""

from __future__ import annotations

from spark_apps.analysis.behaviour import Behaviour
from spark_apps.analysis.exploration import Exploration
from spark_apps.results import Result


class RowsOfDate(Result):
    """Rows of one date, from raw to clean, and quarantined by reason; the date is None for rows that show none."""

    date: str | None
    raw: int
    clean: int
    quarantined: dict[str, int]

    @property
    def balances(self) -> bool:
        """Whether raw rows = clean rows + quarantined rows."""
        return self.raw == self.clean + sum(self.quarantined.values())


class _Rows(Result):
    balance: list[RowsOfDate]


class Analysis(Behaviour, _Rows, Exploration):
    """The figures of `exploration.explore`, the rows of each date, and those of `behaviour.describe_behaviour`."""
