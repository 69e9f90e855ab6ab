"""Publishing: everything together or nothing, whatever happens in between (SPEC D6, M1)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from spark_apps.errors import BusyRootError
from spark_apps.storage.transaction import Transaction, commit_lock, recover
from tests.waiting import beside, is_done

State = dict[str, str]
# a folder replaced, one that is new, one that goes away, a file replaced, and something that nobody touches
OLD = {
    "processed/events/date=1/part": "old",
    "processed/events/date=1/more": "old",
    "processed/events/date=2/part": "old",
    "raw/manifest.json": "old",
    "other/part": "untouched",
}
NEW = {
    "processed/events/date=1/part": "new",
    "processed/events/date=3/part": "new",
    "raw/manifest.json": "new",
    "models/als/1/metadata.json": "new",
    "other/part": "untouched",
}
TARGETS = ["processed/events", "raw/manifest.json", "models/als/1"]


def stage_all(transaction: Transaction) -> None:
    for name in ("processed/events/date=1", "processed/events/date=3"):
        folder = transaction.scratch(name)
        folder.mkdir(parents=True)
        (folder / "part").write_text("new")
        transaction.replace(name, folder)
    transaction.remove("processed/events/date=2")
    transaction.remove("processed/events/date=9")  # which is not there
    transaction.stage("raw/manifest.json").write_text("new")
    transaction.replace("raw/manifest.json")
    model = transaction.stage("models/als/1")
    model.mkdir()
    (model / "metadata.json").write_text("new")
    transaction.replace("models/als/1")


def state(root: Path) -> State:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    names = [(path, path.relative_to(root).as_posix()) for path in files]
    return {name: path.read_text() for path, name in names if not name.startswith("temp/")}


def staging_left(root: Path) -> list[Path]:
    return [path for path in (root / "temp" / "publish").iterdir() if path.is_dir()]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return old_root(tmp_path / "root")


def old_root(root: Path) -> Path:
    for name, text in OLD.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_a_commit_replaces_all_targets(root: Path) -> None:
    with Transaction(root, TARGETS) as transaction:
        stage_all(transaction)
        assert state(root) == OLD
        transaction.commit()
    assert state(root) == NEW
    assert staging_left(root) == []


def test_without_a_commit_nothing_is_published_and_nothing_left(root: Path) -> None:
    with Transaction(root, TARGETS) as transaction:
        stage_all(transaction)
    assert state(root) == OLD
    assert staging_left(root) == []


def test_after_an_error_nothing_is_published_and_nothing_left(root: Path) -> None:
    with pytest.raises(RuntimeError, match="broken job"), Transaction(root, TARGETS) as transaction:
        stage_all(transaction)
        raise RuntimeError("broken job")
    assert state(root) == OLD
    assert staging_left(root) == []


# Runs some lines and kills itself at the n-th change of a name, before or after doing it.
KILLED = """
import os, signal, sys
from pathlib import Path
from spark_apps.storage import staging
from spark_apps.storage.transaction import Transaction, recover
from tests.storage.test_transaction import TARGETS, stage_all

root, kill_at, after = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "after"
steps = 0

def killing(real):
    def step(*given, **options):
        global steps
        steps += 1
        if steps == kill_at and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        done = real(*given, **options)
        if steps == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return done
    return step

for name in ("rename", "replace", "unlink"):
    setattr(Path, name, killing(getattr(Path, name)))
staging.discard = killing(staging.discard)
"""
PUBLISH = """
with Transaction(root, TARGETS) as transaction:
    stage_all(transaction)
    transaction.commit()
"""
REPOSITORY = Path(__file__).resolve().parents[2]


def killed_at(step: int, when: str, what: str, root: Path) -> bool:
    """Runs a child that kills itself at a step; False when it came to its end before."""
    child = subprocess.run(
        [sys.executable, "-c", KILLED + what, root, str(step), when], cwd=REPOSITORY, check=False, timeout=60
    )
    assert child.returncode in (0, -signal.SIGKILL)
    return child.returncode != 0


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_transaction_killed_at_any_step_is_wholly_old_or_wholly_new(when: str, tmp_path: Path) -> None:
    seen: list[bool] = []
    for step in range(1, 100):
        root = old_root(tmp_path / f"{when}-{step}")
        if not killed_at(step, when, PUBLISH, root):
            break
        committed = any((folder / "journal.json").exists() for folder in staging_left(root))
        recover(root)
        assert state(root) in (OLD, NEW)
        seen.append(state(root) == NEW)
        assert not committed or seen[-1]
        with Transaction(root, TARGETS) as transaction:  # nothing is in the way of the next writer
            assert staging_left(root) == [transaction.stage("x").parents[1]]
    # owner, journal, six renames, the journal's end, the removal: once new, it never goes back
    assert len(seen) == 10
    assert seen == sorted(seen)
    assert seen.count(False) == (2 if when == "before" else 1)


def test_a_recovery_that_is_killed_too_is_finished_by_the_next(tmp_path: Path) -> None:
    for step in range(1, 100):
        root = old_root(tmp_path / str(step))
        assert killed_at(5, "before", PUBLISH, root)  # among the renames
        assert state(root) not in (OLD, NEW)
        if not killed_at(step, "before", "recover(root)", root):
            break
        recover(root)
        assert state(root) == NEW
    assert step > 5


def test_renames_cut_short_by_an_error_are_finished_by_the_next_command(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.rename

    def failing(path: Path, target: Path) -> Path:
        if target == root / "models/als/1":
            raise PermissionError(13, "Permission denied")
        return real(path, target)

    with pytest.raises(PermissionError), Transaction(root, TARGETS) as transaction:
        stage_all(transaction)
        monkeypatch.setattr(Path, "rename", failing)
        transaction.commit()
    assert state(root) not in (OLD, NEW)
    monkeypatch.undo()
    with Transaction(root, ["something/else"]):
        assert state(root) == NEW


def test_a_file_is_there_at_every_moment_of_its_replacement(tmp_path: Path) -> None:
    for step in range(1, 100):
        root = old_root(tmp_path / str(step))
        if not killed_at(step, "after", PUBLISH, root):
            break
        assert (root / "raw/manifest.json").read_text() in ("old", "new")  # by a reader that waits for nobody
    assert (root / "raw/manifest.json").read_text() == "new"


def test_what_is_left_stays_as_it_was(root: Path) -> None:
    with Transaction(root, TARGETS) as transaction:
        stage_all(transaction)
        transaction.keep("raw/manifest.json")
        transaction.keep("processed/events/date=2")
        transaction.commit()
    kept = {name: OLD[name] for name in ("raw/manifest.json", "processed/events/date=2/part")}
    assert state(root) == NEW | kept
    assert staging_left(root) == []


def test_nobody_else_publishes_while_one_is_alone(root: Path) -> None:
    with Transaction(root, ["raw/manifest.json"]) as mine, Transaction(root, ["other"]) as theirs:
        theirs.stage("other").mkdir()
        theirs.replace("other")
        with ExitStack() as threads, mine.exclusive():
            waiting = threads.enter_context(beside(theirs.commit))
            assert not is_done(waiting, 0.2)  # it would be done long before
            mine.stage("raw/manifest.json").write_text((root / "raw/manifest.json").read_text() + " and new")
            mine.replace("raw/manifest.json")
            mine.commit()
            assert (root / "other/part").exists()
    assert (root / "raw/manifest.json").read_text() == "old and new"
    assert not (root / "other/part").exists()


HOLDING = """
import sys
from pathlib import Path
from spark_apps.storage.transaction import Transaction

with Transaction(Path(sys.argv[1]), ["processed/events"]):
    print("open", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def other_writer(root: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", HOLDING, str(root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "open\n"
        yield child
        child.kill()


def test_a_second_writer_of_the_same_tables_is_told_who_writes(root: Path, other_writer: subprocess.Popen[str]) -> None:
    with pytest.raises(BusyRootError, match=f"Process {other_writer.pid} is writing processed/events: wait"):
        Transaction(root, ["models/als/1", "processed/events"])
    with Transaction(root, ["processed/user_features"]) as transaction:  # others may be written
        transaction.commit()
    recover(root)  # readers do not wait for the writer's end


def test_a_killed_writer_does_not_stop_the_next(root: Path, other_writer: subprocess.Popen[str]) -> None:
    other_writer.kill()
    other_writer.wait()
    assert len(staging_left(root)) == 1
    with Transaction(root, TARGETS) as transaction:
        stage_all(transaction)
        transaction.commit()
    assert state(root) == NEW
    assert staging_left(root) == []


@pytest.mark.parametrize(
    ("mine", "busy"),
    [
        ("processed/events", True),
        ("processed/events/date=1", True),
        ("processed", True),
        ("processed/events2", False),
        ("processed/event", False),
        ("raw", False),
    ],
)
def test_a_claim_covers_what_is_below_it(mine: str, busy: bool, root: Path) -> None:
    with Transaction(root, ["processed/events"]):
        if busy:
            with pytest.raises(BusyRootError, match=str(os.getpid())):
                Transaction(root, [mine])
        else:
            with Transaction(root, [mine]):
                pass
    assert staging_left(root) == []


def test_a_writer_that_is_just_leaving_does_not_disturb_the_next(root: Path) -> None:
    with Transaction(root, ["processed/events"]) as leaving:
        owner = leaving.stage("x").parents[1] / "owner.json"
        assert json.loads(owner.read_text())["writer"] == str(os.getpid())
        owner.unlink()
        with Transaction(root, ["processed/events"]):
            pass


def test_nothing_is_published_while_a_reader_lists(root: Path) -> None:
    with Transaction(root, TARGETS) as transaction:
        stage_all(transaction)
        with ExitStack() as threads, commit_lock(root):
            waiting = threads.enter_context(beside(transaction.commit))
            assert not is_done(waiting, 0.2)  # it would be done long before
            assert state(root) == OLD
    assert state(root) == NEW


def test_a_reader_without_permission_to_write_still_reads(
    for_everybody: Path, as_nobody: Callable[[Callable[[], Any]], Any]
) -> None:
    root = old_root(for_everybody / "root")
    with Transaction(root, TARGETS) as transaction:
        transaction.commit()
    lock = root / "temp" / "publish" / "opening.lock"
    lock.chmod(0o444)

    def read() -> State:
        with commit_lock(root):
            return state(root)

    assert as_nobody(read) == OLD


def test_settling_an_untouched_root_makes_nothing(tmp_path: Path) -> None:
    recover(tmp_path / "root")
    assert not (tmp_path / "root").exists()
