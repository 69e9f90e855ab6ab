"""`shopstream demo`: every step on one machine, from events to the report."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from pathlib import Path

from spark_apps.engine.base import Engine
from spark_apps.errors import UserError
from spark_apps.jobs import analyze, clean, generate, load, quarantine, report, simulate, train
from spark_apps.jobs.stream import query as stream
from spark_apps.progress import notice, step
from spark_apps.settings import Settings, local_root
from spark_apps.storage import StoragePath
from spark_apps.streaming.records import BatchRecord
from spark_apps.tables import DateRange

_MARK = ".shopstream-demo"
MONTH, NOVEMBER = "2019-10", "2019-11"
# November in so many files, and how many of them the demo streams.
_FILES_OF_NOVEMBER, _BATCHES = 100, 5


def prepare_root(root: Path) -> None:
    """Empties the demo's folder if an earlier demo made it.

    Raises:
        UserError: when the folder holds something else.
    """
    if root.exists() and any(root.iterdir()):
        if not (root / _MARK).exists():
            raise UserError(f"{root} holds something else than a demo: name an empty folder with --root.")
        shutil.rmtree(root)
    root.mkdir(parents=True, exist_ok=True)
    (root / _MARK).touch()


def land_input(settings: Settings, root: Path, files: Sequence[Path], events: int) -> int:
    """Lands the given files, or else generated events.

    Returns:
        Rows landed.
    """
    if not files:
        with step("Generating") as shown:
            files = [generate.run(events, MONTH, settings.seed, None, 0.0, root / "input", compress=False)]
            shown.done = f"{events:,} synthetic events, seed {settings.seed}"
    with step("Loading") as shown:
        rows = sum(manifest.rows for manifest, _ in load.run(root, files))
        shown.done = f"{rows:,} rows"
    return rows


def run(engine: Engine, settings: Settings, root: Path) -> None:
    """Runs clean, analyze and train on what was landed."""
    with step("Cleaning") as shown:
        balance = clean.run(engine, root, DateRange())
        kept = sum(day.clean for day in balance.values())
        refused = sum(day.quarantined.total() for day in balance.values())
        shown.done = f"{kept + refused:,} raw = {kept:,} clean + {refused:,} quarantined"
    if kept and refused:
        for line in quarantine.reason_texts(root, DateRange(), kept + refused):
            notice(line)
    with step("Exploring") as shown:
        figures = analyze.run(engine, root, DateRange())
        shown.done = f"{figures.sessions.count:,} sessions"
    train.run(engine, settings, root, DateRange(), "5")


def run_november(
    engine: Engine, settings: Settings, root: Path, events: int, tell: Callable[[BatchRecord], None]
) -> None:
    """Streams the first events of a synthetic November in a few files.

    Args:
        engine: applies them.
        settings: the run's.
        root: folder of the tables and models that October made.
        events: how many October had.
        tell: is told each batch.
    """
    with step("Generating November") as shown:
        file = generate.run(events, NOVEMBER, settings.seed, None, 0.0, root / "input", compress=False)
        load.run(root, [file])
        shown.done = f"{events:,} synthetic events, seed {settings.seed}"
    each = max(1, events // _FILES_OF_NOVEMBER)
    month = date.fromisoformat(f"{NOVEMBER}-01")
    plan = simulate.Plan(month, events=each, interval=timedelta(), ahead=_BATCHES, files=_BATCHES)
    simulate.run(root, plan, lambda seconds: False)
    stream.run(engine, settings, root, stream.StopPolicy(once=True), tell)


def make_report(engine: Engine, settings: Settings) -> StoragePath:
    """Shows everything above on one page.

    Returns:
        The page's path.
    """
    with step("Report"):
        return report.run(engine, local_root(settings))
