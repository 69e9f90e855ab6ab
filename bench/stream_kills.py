"""Kills of the local stream, for `bench.kills`.

Files wait in a trained root: good ones, one with bad lines, one whose content was dropped before, one that is refused.
`stream --once` is killed again and again. After each kill the tables of the stream must be readable and hold the
batches that have a record, whole, as a stream without kills makes them. At last the stream may finish, and everything
equals what it would have been.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from bench.readers import Content, content, difference
from spark_apps.generator import GeneratorSpec, write_events
from spark_apps.streaming.drop_files import Drop
from spark_apps.tables import DONE, INCOMING, REFUSED, STREAM_TABLES, TAKEN, TRANSACTIONS
from spark_apps.telemetry.batch_log import BatchLog

FILES = 8
_DROPPED_AT = datetime(2026, 1, 2, tzinfo=timezone.utc)


def drop_files(root: Path, events: int, seed: int, bad_lines: tuple[str, ...]) -> None:
    """Drops a generated November in some files, and peculiar ones among them."""
    log = root.parent / "november.csv"
    write_events(GeneratorSpec(FILES * events, "2019-11", seed), log)
    header, *lines = log.read_text(encoding="utf-8").splitlines()
    texts = [
        "\n".join([header, *lines[n * events : (n + 1) * events], *(bad_lines if n == 2 else ())]) for n in range(FILES)
    ]
    texts.insert(4, texts[1])  # the same content once more
    texts.insert(6, "no header\n")
    (root / INCOMING).mkdir(parents=True, exist_ok=True)
    for number, text in enumerate(texts, start=1):
        name = Drop(number, _DROPPED_AT + timedelta(seconds=number)).name
        (root / INCOMING / name).write_text(text + "\n", encoding="utf-8")


def stream_differences(root: Path, after: Content, reference: Path) -> list[str]:
    """What is wrong with a stream's tables after a kill."""
    try:
        found = content(root, STREAM_TABLES)
    except (OSError, pa.ArrowException) as error:
        return [f"a table cannot be read: {error}"]
    batches, wrong = len(BatchLog(root).numbers()), []
    for name, rows in found.items():
        expected = after[name].filter(pc.less(after[name]["batch"], batches))
        text = difference(name, expected, rows, 0.0)
        wrong += [f"with {batches} records {text}"] if text else []
    return wrong + _record_differences(root, reference, batches)


def final_differences(root: Path, after: Content, reference: Path) -> list[str]:
    """What differs from a stream without kills once all files are applied, leftovers included."""
    wrong = stream_differences(root, after, reference)
    for folder in (DONE, REFUSED, INCOMING, TAKEN):
        here, there = (sorted(path.name for path in (one / folder).iterdir()) for one in (root, reference))
        wrong += [f"{folder} holds {here}, not {there}"] if here != there else []
    left = [path for path in (root / TRANSACTIONS).iterdir() if path.is_dir()]
    return wrong + [f"{path.name} is left in {TRANSACTIONS}" for path in left]


def _record_differences(root: Path, reference: Path, batches: int) -> list[str]:
    ours, theirs = BatchLog(root), BatchLog(reference)
    wrong = []
    for batch in range(batches):
        one, other = (batch_log.record(batch) for batch_log in (ours, theirs))
        told = [
            record and record.model_dump(exclude={"committed_at", "seconds", "lag_files"}) for record in (one, other)
        ]
        wrong += [f"record {batch} is {told[0]}, not {told[1]}"] if told[0] != told[1] else []
    return wrong


def kill_stream(
    root: Path,
    reference: Path,
    seconds: float,
    kills: int,
    rng: random.Random,
    run_and_kill: Callable[[Path, float], bool],
    finish: Callable[[Path], None],
) -> tuple[list[float], int, list[str]]:
    """Kills the stream so many times, then lets it finish; begins again with all files where it came to its end.

    Returns:
        The moments of the kills, runs that ended before theirs, and all differences.
    """
    after = content(reference, STREAM_TABLES)
    copy = root.with_name(f"{root.name}-snapshot")
    shutil.copytree(root, copy)
    moments: list[float] = []
    ended, wrong = 0, []
    while len(moments) < kills:
        moment = rng.random() * seconds
        if run_and_kill(root, moment):
            moments.append(moment)
            wrong += [f"killed after {moment:.2f} s: {text}" for text in stream_differences(root, after, reference)]
        else:
            ended += 1
            wrong += [f"after it ended: {text}" for text in final_differences(root, after, reference)]
            shutil.rmtree(root)
            shutil.copytree(copy, root)
    finish(root)
    wrong += [f"in the end: {text}" for text in final_differences(root, after, reference)]
    shutil.rmtree(copy)
    return moments, ended, wrong
