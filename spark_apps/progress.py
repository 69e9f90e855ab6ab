"""What a person sees while work goes on: one line a step on standard error, alive while it runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TransferSpeedColumn,
)

console = Console(stderr=True, highlight=False)


@dataclass
class Step:
    """A step under way; `done` becomes the text of its closing line."""

    name: str
    done: str = ""


@dataclass
class StepTimes:
    """Seconds per finished step, in order."""

    seconds: dict[str, float] = field(default_factory=dict)


step_times = StepTimes()


@contextmanager
def step(name: str) -> Iterator[Step]:
    """Shows one step of a job: a spinner while it runs, then its time.

    Args:
        name: what is being done, for example `Cleaning`.
    """
    with _timed(name) as current, _spinner(name):
        yield current


@contextmanager
def trial_step(name: str, trials: int) -> Iterator[tuple[Step, Callable[[str], None]]]:
    """Shows one step that tries things: a bar over the trials with a remark on how it goes, then its time.

    Args:
        name: what is being done.
        trials: how many things will be tried.

    Returns:
        The step, and the function that is told a remark after each trial.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[remark]}"),
        TimeElapsedColumn(),
    )
    with (
        _timed(name) as current,
        Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar,
    ):
        task = bar.add_task(name, total=trials, remark="")
        yield current, lambda remark: bar.update(task, advance=1, remark=remark)


@contextmanager
def _timed(name: str) -> Iterator[Step]:
    """Times a step and prints its closing line."""
    started, current = time.monotonic(), Step(name)
    yield current
    seconds = time.monotonic() - started
    step_times.seconds[name] = round(seconds, 2)
    console.print("[green]✓[/green]", escape(f"{name:<28} {seconds:6.1f} s  {current.done}"), soft_wrap=True)


def notice(text: str) -> None:
    """Shows one line that a person should read, such as what was used in place of what."""
    console.print("[yellow]![/yellow]", escape(text), soft_wrap=True)


@contextmanager
def byte_progress(name: str, total: int) -> Iterator[tuple[Progress, TaskID]]:
    """Shows a bar over a known number of bytes."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with bar:
        yield bar, bar.add_task(name, total=total)


class RowsDone(Protocol):
    """What is told how far a step has come."""

    def __call__(self, done: int, about: str = "") -> None:
        """Takes the rows done so far, and what else is worth seeing now."""


@contextmanager
def row_progress(name: str, total: int) -> Iterator[RowsDone]:
    """Shows a bar over a known number of rows; gives the function that is told the rows done so far."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[about]}"),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(name, total=total, about="")

        def show(done: int, about: str = "") -> None:
            bar.update(task, completed=done, about=escape(about))

        yield show


@contextmanager
def _spinner(name: str) -> Iterator[None]:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        bar.add_task(name, total=None)
        yield
