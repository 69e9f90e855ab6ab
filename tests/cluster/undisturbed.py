"""What one machine makes of the logs of a cluster, undisturbed, in a process beside the tests.

    python -m tests.cluster.undisturbed LOG NOVEMBER FOLDER

trains on a log in FOLDER/trained, streams November after it in FOLDER/streamed, and says when each is there.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pyspark.sql import SparkSession

from spark_apps.jobs import clean, load, simulate, train
from spark_apps.jobs.stream.query import Wishes, run
from spark_apps.session import spark_session
from spark_apps.settings import Settings
from spark_apps.tables import DateRange
from tests.cluster.sizes import EVENTS_EACH

REPOSITORY = Path(__file__).resolve().parents[2]
TRAINED, STREAMED = STAGES = ("trained", "streamed")


def train_here(spark: SparkSession, root: Path, log: Path) -> None:
    """Lands, cleans and trains on a log."""
    load.run(root, [log])
    clean.run(spark, root, DateRange())
    train.run(spark, Settings(root=str(root)), root, DateRange(), "5")


def stream_here(spark: SparkSession, root: Path, files: int | None = None) -> int:
    """Streams so many files of the landed November, or all that are left, and returns the number of batches."""
    simulate.run(root, simulate.Plan(date(2019, 11, 1), events=EVENTS_EACH, ahead=10_000, files=files), lambda _: False)
    return run(spark, Settings(root=str(root)), root, Wishes(once=True), lambda record: None)


@dataclass(frozen=True)
class Undisturbed:
    """The run under way."""

    process: subprocess.Popen[str]
    folder: Path

    def root(self, stage: str) -> Path:
        """Waits for a stage and returns its root."""
        if not (self.folder / f"{stage}.done").exists():
            said = self.process.stdout
            assert said is not None
            told = iter(said.readline, "")
            assert f"{stage}\n" in told, f"the run on this machine ended with {self.process.wait()} before {stage}"
        return self.folder / stage


def started(log: Path, november: Path, folder: Path) -> Undisturbed:
    """Starts the run; its errors go where those of the tests go."""
    command = [sys.executable, "-m", "tests.cluster.undisturbed", str(log), str(november), str(folder)]
    return Undisturbed(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY), folder)


def main(log: Path, november: Path, folder: Path) -> None:
    """Makes both roots."""
    settings = Settings(root=str(folder / "session"), master="local[2]", driver_memory="2g", shuffle_partitions=2)
    trained, streamed = (folder / stage for stage in STAGES)
    with spark_session(settings, "tests") as spark:
        train_here(spark, trained, log)
        _tell(trained)
        shutil.copytree(trained, streamed)
        load.run(streamed, [november])
        stream_here(spark, streamed)
        _tell(streamed)


def _tell(root: Path) -> None:
    root.with_suffix(".done").touch()
    print(root.name, flush=True)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
