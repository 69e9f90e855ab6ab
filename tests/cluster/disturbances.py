"""A stream and its replay on a real cluster, kept going while parts of it are killed at random moments (SPEC T6)."""

from __future__ import annotations

import random
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass

from tests.cluster.conftest import RunningCluster
from tests.cluster.november import applied, await_batches
from tests.cluster.sizes import EVENTS_EACH

DRIVER, WORKER, INFLUXDB, REPLAYER = VICTIMS = ("driver", "worker", "InfluxDB", "replayer")
STREAM = ("submit", "stream")
REPLAY = ("submit", "simulate", "--events", str(EVENTS_EACH), "--speed", "max", "--ahead", "1")
_COMMANDS = {DRIVER: "stream", REPLAYER: "simulate"}
_SERVICES = {WORKER: "spark-worker", INFLUXDB: "influxdb"}
# A kill follows a batch's commit by up to about as long as the next batch takes.
_BATCH_SECONDS = 8.0
# As many batches before the last one the replay is still at work, whatever moment is drawn.
_STILL_REPLAYING = 8
_PATIENCE = 300.0
# Run by the client's Python: ends a command's process as a power cut would, and prints its id.
_KILL = """
import os, pathlib, signal, sys
for folder in pathlib.Path("/proc").glob("[0-9]*"):
    try:
        words = (folder / "cmdline").read_bytes().split(b"\\0")
    except OSError:
        continue
    if words[1:2] and words[1].endswith(b"/shopstream") and words[2] == sys.argv[1].encode():
        os.kill(int(folder.name), signal.SIGKILL)
        print(folder.name)
"""


@dataclass(frozen=True)
class Kill:
    """What is killed, so many seconds after so many batches were applied."""

    victim: str
    batches: int
    seconds: float


def planned(kills: int, batches: int, seed: int) -> list[Kill]:
    """Draws kills at different batches, as many of each victim as of any other, or one more.

    Raises:
        ValueError: when there are not kills + 8 batches at least.
    """
    draw = random.Random(seed)
    victims = [VICTIMS[number % len(VICTIMS)] for number in range(kills)]
    draw.shuffle(victims)
    moments = sorted(draw.sample(range(1, batches - _STILL_REPLAYING + 1), kills))
    return [
        Kill(victim, moment, draw.uniform(0, _BATCH_SECONDS)) for victim, moment in zip(victims, moments, strict=True)
    ]


class DisturbedStream:
    """The commands of a person whose cluster keeps failing: what ended is started again, what is gone comes back."""

    def __init__(self, cluster: RunningCluster) -> None:
        """Starts the stream and the replay."""
        self._cluster = cluster
        self._running = {DRIVER: cluster.start(*STREAM), REPLAYER: cluster.start(*REPLAY)}

    def suffer(self, kills: Sequence[Kill]) -> None:
        """Kills one after the other, and starts what was killed again."""
        for number, kill in enumerate(kills, start=1):
            self._await(kill.batches)
            time.sleep(kill.seconds)  # the random moment
            print(f"kill {number}: {kill.victim}, {kill.seconds:.1f} s after {kill.batches} batches", flush=True)
            self._kill(kill.victim)

    def finish(self, batches: int) -> None:
        """Waits for the last batch and for the replay's end, and stops the stream as Ctrl-C does."""
        self._await(batches)
        _, errors = self._running[REPLAYER].communicate(timeout=_PATIENCE)
        assert self._running[REPLAYER].returncode == 0, errors[-3000:]
        self._running[DRIVER].terminate()
        _, errors = self._running[DRIVER].communicate(timeout=_PATIENCE)
        assert self._running[DRIVER].returncode == 0, errors[-3000:]

    def _await(self, batches: int) -> None:
        await_batches(self._cluster, self._running[DRIVER], batches, _PATIENCE)

    def _kill(self, victim: str) -> None:
        if victim in _SERVICES:
            self._cluster.containers(_SERVICES[victim])[0].docker("kill")
            self._cluster.shopstream("cluster", "up")
        else:
            self._running[victim] = self._restart(victim)
        if victim == DRIVER:
            self._await(applied(self._cluster) + 1)  # the next kill hits a stream that works

    def _restart(self, victim: str) -> subprocess.Popen[str]:
        """Kills the process of a command, whose caller is told, and starts the command again."""
        process = self._running[victim]
        killed = self._cluster.run_in("client", "python", "-c", _KILL, _COMMANDS[victim]).split()
        assert len(killed) == 1, f"processes of {victim} that were there to be killed: {killed}"
        _, errors = process.communicate(timeout=_PATIENCE)
        assert process.returncode, f"{victim} was killed and ended with code 0: {errors[-3000:]}"
        return self._cluster.start(*(STREAM if victim == DRIVER else REPLAY))
