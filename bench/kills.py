"""Kills jobs at random moments and sees that no reader notices: `python -m bench.kills --kills 20 --events 20000`.

A root holds what `clean` and `train` made of two thirds of some synthetic events; the rest is loaded on top.
Then each command is run and killed, with its processes, again and again. After each kill every published table must
be readable and hold either exactly what it held before or, where the kill came too late, what an undisturbed run
makes, and all tables of a command must agree in that. At last the command may finish, and its tables and metrics
must equal those of the undisturbed run. The local stream is killed likewise (bench/stream_kills.py). Exits with 1
on any difference.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from bench.readers import Content, content, difference, same_figures
from bench.stream_kills import drop_files, kill_stream
from spark_apps.generator import GeneratorSpec, write_events
from spark_apps.registry.alias import read_alias
from spark_apps.registry.versions import NAMES, versions
from spark_apps.schemas import CSV_COLUMNS
from spark_apps.tables import (
    EVENTS,
    INTERACTIONS,
    PRODUCT_FEATURES,
    QUARANTINE,
    RECOMMENDATIONS,
    TRANSACTIONS,
    USER_FEATURES,
    USER_SEGMENTS,
)

REPOSITORY = Path(__file__).resolve().parents[1]
COMMANDS = {
    "clean": {table.name for table in (EVENTS, QUARANTINE)},
    "train": {t.name for t in (USER_FEATURES, PRODUCT_FEATURES, INTERACTIONS, USER_SEGMENTS, RECOMMENDATIONS)},
}
BAD_LINES = ("2019-10-05 00:00:00 UTC,view,1,2,,,free,3,s", "2019-10-07 00:00:00 UTC,look,1,2,,,1.0,3,s", "no event")
STREAM = "stream"
BEFORE, AFTER = "as before", "as after"


@dataclass(frozen=True)
class Ground:
    """Where the kills happen.

    Attributes:
        root: tables of two thirds of the events; all of the events are loaded.
        reference: the same after an undisturbed `clean` and `train`.
        seconds: what each command took undisturbed, from its start to its end.
    """

    root: Path
    reference: Path
    seconds: dict[str, float]


@dataclass
class Verdict:
    """What the kills of one command did.

    Attributes:
        command: which.
        moments: seconds after the start at which it was killed, one for each kill.
        ended_before: runs that came to their end before the moment, which are no kills.
        found: what readers found after the kills.
        differences: everything that was not as it must be.
    """

    command: str
    moments: list[float] = field(default_factory=list)
    ended_before: int = 0
    found: Counter[str] = field(default_factory=Counter)
    differences: list[str] = field(default_factory=list)


def prepare(work: Path, events: int, seed: int) -> Ground:
    """Makes the events, the root and the reference."""
    root, reference = work / "root", work / "reference"
    first, second = _make_logs(work, events, seed)
    for arguments in (["load", first], ["clean"], ["train"], ["load", second]):
        _finish(root, *arguments)
    shutil.copytree(root, reference)
    return Ground(root, reference, {command: _finish(reference, command) for command in COMMANDS})


def kill_rounds(ground: Ground, command: str, kills: int, rng: random.Random) -> Verdict:
    """Kills a command so many times at moments spread over its duration, then lets it finish."""
    verdict = Verdict(command)
    after = content(ground.reference)
    with _snapshot(ground.root) as restore:
        before = content(ground.root)
        shares = [(number + rng.random()) / kills for number in range(kills)]
        rng.shuffle(shares)
        while len(verdict.moments) < kills:
            moment = shares[len(verdict.moments)] * ground.seconds[command]
            if not run_and_kill(ground.root, command, moment):
                verdict.ended_before += 1
                shares[len(verdict.moments)] = rng.random()
                restore()
                continue
            verdict.moments.append(moment)
            state, differences = compare(command, before, after, ground)
            verdict.found[state] += 1
            verdict.differences += [f"killed after {moment:.2f} s: {text}" for text in differences]
            if state != BEFORE:
                restore()
    _finish(ground.root, command)
    verdict.differences += [f"in the end: {text}" for text in final_differences(command, before, after, ground)]
    return verdict


def kill_the_stream(work: Path, ground: Ground, events: int, kills: int, seed: int) -> Verdict:
    """Kills the local stream in a root that was trained: see `stream_kills`."""
    root, reference = (work / name for name in ("stream", "stream-reference"))
    shutil.copytree(ground.reference, root)
    drop_files(root, events, seed, BAD_LINES)
    shutil.copytree(root, reference)
    ground.seconds[STREAM] = _finish(reference, STREAM, "--once")

    def run_and_kill_it(folder: Path, moment: float) -> bool:
        return run_and_kill(folder, STREAM, moment, "--once")

    def finish(folder: Path) -> None:
        _finish(folder, STREAM, "--once")

    rng = random.Random(seed)
    moments, ended, wrong = kill_stream(root, reference, ground.seconds[STREAM], kills, rng, run_and_kill_it, finish)
    return Verdict(STREAM, moments, ended, Counter({"whole": len(moments)} if not wrong else {}), wrong)


def run_and_kill(root: Path, command: str, seconds: float, *options: str) -> bool:
    """Runs a command and kills everything it started after some seconds; False when it ended before."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            _command(root, command, *options), stdout=log, stderr=log, start_new_session=True, **_SHARED
        )
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            _kill(process.pid)
        ended = process.wait()
        _wait_for_session(process.pid)
        if ended not in (0, _KILLED):
            log.seek(0)
            raise RuntimeError(f"{command} ended with {ended}: {log.read().decode(errors='replace')[-2000:]}")
    return ended == _KILLED


def compare(command: str, before: Content, after: Content, ground: Ground) -> tuple[str, list[str]]:
    """Says what a reader finds after a kill, and what is wrong with it."""
    try:
        found = content(ground.root)
    except (OSError, pa.ArrowException) as error:
        return "unreadable", [f"a table cannot be read: {error}"]
    untouched = set(before) - COMMANDS[command]
    wrong = [text for name in sorted(untouched) if (text := difference(name, before[name], found[name], 0.0))]
    old = [difference(name, before[name], found[name], 0.0) for name in sorted(COMMANDS[command])]
    new = [difference(name, after[name], found[name]) for name in sorted(COMMANDS[command])]
    if not any(old):
        return BEFORE, wrong + model_differences(ground, published=False)
    if not any(new):
        return AFTER, wrong + model_differences(ground, published=command == "train")
    return "a mixture", [*wrong, *(text for text in old + new if text)]


def final_differences(command: str, before: Content, after: Content, ground: Ground) -> list[str]:
    """What differs from the undisturbed run once the command has finished, leftovers included."""
    found = content(ground.root)
    expected = {name: after[name] if name in COMMANDS[command] else before[name] for name in after}
    wrong = [text for name in sorted(after) if (text := difference(name, expected[name], found[name]))]
    for folder in (ground.root / TRANSACTIONS, ground.root / "temp" / "engine"):
        wrong += [f"{path.name} is left in {folder}" for path in folder.iterdir() if path.is_dir()]
    return wrong + model_differences(ground, published=command == "train")


def model_differences(ground: Ground, published: bool) -> list[str]:
    """What is wrong with the models: incomplete versions, wrong metrics, a version too many or missing."""
    wrong = []
    newest = {}
    for name in NAMES:
        found, reference = versions(ground.root, name), versions(ground.reference, name)
        wrong += [f"{one.name} {one.version} is incomplete" for one in found if one.metadata is None]
        wanted = len(reference) - (not published)
        if len(found) != wanted:
            wrong.append(f"{name} has {len(found)} versions, not {wanted}")
            continue
        newest[name] = found[-1].version
        alias = read_alias(ground.root, name)
        if alias is None or alias.version != newest[name]:
            wrong.append(f"of {name} not the newest version is promoted but {alias}")
        metrics = [one.metadata.metrics if one.metadata else None for one in (found[-1], reference[wanted - 1])]
        if not same_figures(*metrics):
            wrong.append(f"the metrics of {name} are {metrics[0]}, not {metrics[1]}")
    return wrong + ([f"the newest versions differ: {newest}"] if len(set(newest.values())) > 1 else [])


def _make_logs(work: Path, events: int, seed: int) -> tuple[Path, Path]:
    """Two logs that share every date: two thirds of the events, and the rest with bad lines."""
    everything, first, second = (work / name for name in ("events.csv", "first.csv", "second.csv"))
    write_events(GeneratorSpec(events, "2019-10", seed), everything)
    lines = everything.read_text(encoding="utf-8").splitlines()[1:]
    header = ",".join(CSV_COLUMNS)
    kept = [line for number, line in enumerate(lines) if number % 3]
    rest = [*lines[::3], *BAD_LINES]
    for path, part in ((first, [*kept, BAD_LINES[0]]), (second, rest)):
        path.write_text("\n".join([header, *part]) + "\n", encoding="utf-8")
    return first, second


@contextmanager
def _snapshot(root: Path) -> Iterator[Any]:
    copy = root.with_name(f"{root.name}-snapshot")
    shutil.copytree(root, copy)

    def restore() -> None:
        shutil.rmtree(root)
        shutil.copytree(copy, root)

    try:
        yield restore
    finally:
        shutil.rmtree(copy)


# Windows has no signal of that name: a process ends at once, and its code is the number that its end was given
_KILL = 9
_KILLED = _KILL if sys.platform == "win32" else -_KILL
_SHARED: dict[str, Any] = {"cwd": REPOSITORY, "stdin": subprocess.DEVNULL}


def _command(root: Path, *arguments: object) -> list[str]:
    command = [sys.executable, "-m", "spark_apps", *map(str, arguments), "--root", str(root)]
    if arguments[0] == "train":
        command.append("--force")  # so that it ends with 0 whatever the promotion policy thinks of so few events
    return command


def _finish(root: Path, *arguments: object) -> float:
    began = time.monotonic()
    subprocess.run(_command(root, *arguments), check=True, stdout=subprocess.DEVNULL, **_SHARED)
    return time.monotonic() - began


def _kill(session: int) -> None:
    if sys.platform == "win32":
        os.kill(session, _KILL)  # there is no session: what the command started ends by itself when its pipes are gone
    else:
        os.killpg(session, _KILL)


def _wait_for_session(session: int, seconds: float = 30.0) -> None:
    """Kills what a process left in its session, and waits for it."""
    end = time.monotonic() + seconds
    while left := [pid for pid in _session_members(session)]:
        if time.monotonic() > end:
            raise RuntimeError(f"processes {left} do not die")
        for pid in left:
            try:
                os.kill(pid, _KILL)
            except ProcessLookupError:
                continue
        time.sleep(0.01)


def _session_members(session: int) -> Iterator[int]:
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, member_of = path.read_text().rpartition(")")[2].split()[:4]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(member_of) == session and state != "Z":
            yield int(path.parent.name)


def show(verdict: Verdict, seconds: float) -> None:
    """Prints what the kills of a command did."""
    tenths = Counter(min(9, int(10 * moment / seconds)) for moment in verdict.moments)
    found = ", ".join(f"{state} {count}" for state, count in sorted(verdict.found.items()))
    print(f"{verdict.command}: {len(verdict.moments)} kills in runs of {seconds:.1f} s; tables {found}")
    print(f"  kills per tenth of the run: {' '.join(str(tenths[number]) for number in range(10))}")
    print(f"  runs that ended before their moment, not counted: {verdict.ended_before}")
    print(f"  result: {'equal to the undisturbed run' if not verdict.differences else 'DIFFERENT'}")
    for text in verdict.differences:
        print(f"    {text}")


def main() -> int:
    """Runs the kills and returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=20, help="kills of each command")
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="a new folder that stays, instead of a temporary one")
    options = parser.parse_args()
    work = options.keep or Path(tempfile.mkdtemp(prefix="kills-"))
    work.mkdir(parents=True, exist_ok=True)
    try:
        ground, rng = prepare(work, options.events, options.seed), random.Random(options.seed)
        verdicts = [kill_rounds(ground, command, options.kills, rng) for command in COMMANDS]
        verdicts.append(kill_the_stream(work, ground, options.events // 40, options.kills, options.seed))
    finally:
        if options.keep is None:
            shutil.rmtree(work, ignore_errors=True)
    for verdict in verdicts:
        show(verdict, ground.seconds[verdict.command])
    return int(any(verdict.differences for verdict in verdicts))


if __name__ == "__main__":
    sys.exit(main())
