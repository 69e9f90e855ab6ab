"""What a person sees of a cluster: progress of its services, its state, what the doctor found."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from spark_apps.cluster.health.doctor import Finding
from spark_apps.cluster.health.readiness import NotReadyError, ServiceState
from spark_apps.cluster.health.status import Status
from spark_apps.commands.common import next_step, out, print_table

console = Console(stderr=True, highlight=False)


@contextmanager
def failure_logs() -> Iterator[None]:
    """Shows the last log lines of a service that failed, before its error is shown."""
    try:
        yield
    except NotReadyError as error:
        for line in error.lines:
            console.print(escape(f"  {error.service} | {line}"), soft_wrap=True, style="dim")
        raise


@contextmanager
def service_progress() -> Iterator[tuple[Callable[[list[ServiceState]], None], Callable[[str], None]]]:
    """Shows one line per service once it is ready, and what is still awaited while it is.

    Gives two functions: one takes all states, the other one a text.
    """
    started, done = time.monotonic(), set[str]()
    with _spinner() as show:

        def report(states: list[ServiceState]) -> None:
            for state in states:
                if state.ready and state.name not in done:
                    done.add(state.name)
                    seconds = time.monotonic() - started
                    line = escape(f"{state.name:<28} {seconds:6.1f} s  {state.detail}")
                    console.print("[green]✓[/green]", line, soft_wrap=True)
            waiting = [f"{state.name} ({state.detail})" for state in states if not state.ready]
            show(f"Waiting for {', '.join(waiting)}"[:70])

        yield report, show


@contextmanager
def working(text: str) -> Iterator[None]:
    """Shows that something is being done, for what takes over two seconds."""
    with _spinner() as show:
        show(text)
        yield


@contextmanager
def _spinner() -> Iterator[Callable[[str], None]]:
    """A line that lives on a terminal; elsewhere each new text is a line of its own, services' waiting left out."""
    shown = set[str]()

    def line(text: str) -> None:
        if not text.startswith("Waiting for") and text not in shown:
            shown.add(text)
            console.print(escape(text), soft_wrap=True)

    if not console.is_terminal:
        yield line
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda text: bar.update(task, description=text)


def print_urls(pages: Mapping[str, str]) -> None:
    """Shows where each page is."""
    print_table("Pages", ["what", "address"], list(pages.items()))


def print_status(seen: Status, option: str) -> None:
    """Shows a cluster's services, workers, DataNodes, memory and pages.

    Args:
        seen: the status.
        option: what names the cluster in the next step's command.
    """
    print_table(
        "Services",
        ["service", "ready", "state"],
        [(s.name, "yes" if s.ready else "no", s.detail) for s in seen.services],
    )
    if seen.spark is not None:
        workers = [
            (w.host, w.state.lower(), f"{w.cores_free} of {w.cores}", f"{w.memory_free} of {w.memory} MiB")
            for w in seen.spark.workers
        ]
        print_table("Spark workers", ["host", "state", "cores free", "executor memory free"], workers)
        if seen.spark.applications:
            out.print(escape(f"Running: {', '.join(seen.spark.applications)}"))
    if seen.hdfs is not None:
        nodes = [(d.name, d.state, _gib(d.used), _gib(d.remaining), d.blocks) for d in seen.hdfs.datanodes]
        print_table("DataNodes", ["host", "state", "used", "free", "blocks"], nodes)
        mode = "on" if seen.hdfs.safe_mode else "off"
        out.print(
            f"HDFS: {_gib(seen.hdfs.used)} used of {_gib(seen.hdfs.capacity)}, safe mode {mode}, "
            f"{seen.hdfs.missing_blocks} blocks missing, {seen.hdfs.under_replicated} short of copies"
        )
    out.print(f"Memory: limits add up to {seen.memory_limits:,} of {seen.memory_budget:,} MiB")
    print_urls(seen.urls)
    next_step(f"shopstream submit{option} train" if seen.ready else f"shopstream cluster doctor{option}")


def _gib(size: int) -> str:
    return f"{size / 1024**3:,.1f} GiB"


def print_findings(findings: list[Finding], following: str) -> None:
    """Shows what was examined, what is wrong and how to fix it; the next step where nothing is wrong."""
    for one in findings:
        if one.ok:
            mark = "[yellow]-[/yellow]" if one.skipped else "[green]✓[/green]"
            out.print(mark, escape(f"{one.check:<14} {one.seen}"), soft_wrap=True)
        else:
            out.print("[red]✗[/red]", escape(f"{one.check:<14} {one.problem}"), soft_wrap=True)
            out.print(escape(f"{'':<16} Fix: {one.remedy}"), soft_wrap=True)
    if all(one.ok for one in findings):
        next_step(following)
