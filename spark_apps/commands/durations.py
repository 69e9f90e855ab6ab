"""Durations on the command line: 500ms, 10s, 5m, 1h, 2d."""

from __future__ import annotations

import re
from datetime import timedelta

import click

_UNITS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?) ?(ms|s|m|h|d)")


class Duration(click.ParamType[timedelta]):
    """A number with its unit."""

    name = "duration"

    def __init__(self, least: timedelta = timedelta()) -> None:
        """Names the shortest duration that is taken."""
        self._least = least

    def convert(self, value: str | timedelta, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Reads one; click says in one sentence when it is none."""
        if isinstance(value, timedelta):
            return value
        found = _DURATION.fullmatch(value.strip())
        if found is None:
            self.fail(f"{value!r} is no duration: write it as 500ms, 10s, 5m, 1h or 2d.", param, ctx)
        duration = float(found[1]) * _UNITS[found[2]]
        if duration < self._least:
            self.fail(f"{value!r} is too short: take at least {self._least.total_seconds():g}s.", param, ctx)
        return duration
