"""What one machine makes of the logs of a cluster, undisturbed, in a process beside the tests.

    python -m tests.cluster.reference_run LOG NOVEMBER FOLDER

trains on a log in FOLDER/trained, streams November after it in FOLDER/streamed, and says when each is there.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from spark_apps.jobs import clean, load, simulate, train
from spark_apps.jobs.stream.query import StopPolicy, run
from spark_apps.settings import Settings
from spark_apps.tables import DateRange
from tests.cluster.sizes import EVENTS_EACH
from tests.conftest import REPOSITORY
from tests.engines import local_engine

TRAINED, STREAMED = "trained", "streamed"


def train_here(root: Path, log: Path) -> None:
    """Lands, cleans and trains on a log."""
    load.run(root, [log])
    clean.run(local_engine(), root, DateRange())
    train.run(local_engine(), Settings(root=str(root)), root, DateRange(), "5")


def stream_here(root: Path, files: int | None = None) -> int:
    """Streams so many files of the landed November, or all that are left, and returns the number of batches."""
    simulate.run(root, simulate.Plan(date(2019, 11, 1), events=EVENTS_EACH, ahead=10_000, files=files), lambda _: False)
    return run(local_engine(), Settings(root=str(root)), root, StopPolicy(once=True), lambda record: None)


@dataclass
class ReferenceRun:
    """The run under way, and the stages it has told of."""

    process: subprocess.Popen[str]
    folder: Path
    told: set[str] = field(default_factory=set)

    def root(self, stage: str) -> Path:
        """Waits for a stage and returns its root."""
        said = self.process.stdout
        assert said is not None
        while stage not in self.told:
            line = said.readline()
            assert line, f"the run on this machine ended with {self.process.wait()} before {stage}"
            self.told.add(line.strip())
        return self.folder / stage


def started(log: Path, november: Path, folder: Path) -> ReferenceRun:
    """Starts the run; its errors go where those of the tests go."""
    command = [sys.executable, "-m", "tests.cluster.reference_run", str(log), str(november), str(folder)]
    return ReferenceRun(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY), folder)


def main(log: Path, november: Path, folder: Path) -> None:
    """Makes both roots."""
    trained, streamed = folder / TRAINED, folder / STREAMED
    train_here(trained, log)
    print(TRAINED, flush=True)
    shutil.copytree(trained, streamed)
    load.run(streamed, [november])
    stream_here(streamed)
    print(STREAMED, flush=True)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
