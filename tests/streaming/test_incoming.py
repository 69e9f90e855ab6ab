"""Files taken out of incoming, applied by their content, and put away, through kills and moves (SPEC T1, T2, T6).

`Applier` stands for the stream; the stream itself is tested in tests/pipeline/test_dropped_files.py.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from spark_apps.jobs.stream.incoming import Note, names_taken
from spark_apps.jobs.stream.state_store import StateStore
from spark_apps.storage import write_durably
from spark_apps.streaming.drop_files import Drop
from spark_apps.streaming.intake import MOST_FAULTS, hash_in_name
from spark_apps.streaming.records import BatchRecord
from spark_apps.tables import DONE, INCOMING, REFUSED, TAKEN
from spark_apps.telemetry.batch_log import BatchLog
from tests.factory import HEADER
from tests.streaming.applier import Applier, log_of, outcomes
from tests.telemetry.records import DROPPED


@pytest.fixture
def applier(tmp_path: Path) -> Applier:
    return Applier(tmp_path)


def drop(root: Path, name: str | bytes, content: bytes, moment: float = 1.0) -> None:
    (draft := root / "draft").write_bytes(content)
    os.utime(draft, (moment, moment))
    draft.rename(root / INCOMING / os.fsdecode(name))


def assert_nothing_is_left(root: Path) -> None:
    assert [path.name for folder in (INCOMING, TAKEN) for path in (root / folder).iterdir()] == []


def test_the_content_decides_and_not_the_name(applier: Applier) -> None:
    found = []
    for name, text in (("latest.csv", "a"), ("latest.csv", "b"), ("other.csv", "a")):
        drop(applier.root, name, log_of(text))
        found += applier.drain()
    assert outcomes(found) == [
        ("latest.csv", "applied", None),
        ("latest.csv", "applied", None),
        ("other.csv", "duplicate", None),
    ]
    kept = {path.read_bytes() for path in (applier.root / DONE).iterdir()}
    assert kept == {log_of("a"), log_of("b")} and len(list((applier.root / DONE).iterdir())) == 3


def a_folder(path: Path) -> None:
    path.mkdir()
    (path / "part-0.csv").write_bytes(log_of("inside"))


def a_link_to_nothing(path: Path) -> None:
    path.symlink_to("nothing.csv")


def a_link_to_itself(path: Path) -> None:
    path.symlink_to(path.name)


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


def no_byte(path: Path) -> None:
    path.touch()


def a_torn_gzip(path: Path) -> None:
    path.write_bytes(b"\x1f\x8b\x08\x00\x00\x00")


def noughts(path: Path) -> None:
    path.write_bytes(bytes(10_000))


def another_header(path: Path) -> None:
    path.write_bytes(b"time,type,product\n")


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (a_folder, "folder"),
        (a_link_to_nothing, "unreadable"),
        (a_link_to_itself, "unreadable"),
        (a_pipe, "not_a_file"),
        (no_byte, "empty"),
        (a_torn_gzip, "header"),
        (noughts, "header"),
        (another_header, "header"),
    ],
)
def test_what_cannot_be_applied_is_refused_and_the_next_goes_on(
    applier: Applier, make: Callable[[Path], None], reason: str
) -> None:
    for _ in range(2):  # dropped again, it is refused again
        make(applier.root / INCOMING / "a.csv")
        drop(applier.root, "b.csv", log_of("b"), moment=4e9)
        first, second = applier.drain()
        assert (first.file, first.outcome, first.reason) == ("a.csv", "refused", reason)
        assert (second.file, second.reason) == ("b.csv", None)
        assert_nothing_is_left(applier.root)
    assert len(list((applier.root / REFUSED).iterdir())) == 2
    assert len(list((applier.root / DONE).iterdir())) == 2


def test_a_file_that_may_not_be_read_is_refused(
    for_everybody: Path, as_nobody: Callable[[Callable[[], Any]], Any]
) -> None:
    applier = Applier(for_everybody)
    drop(for_everybody, "a.csv", log_of("a"))
    (for_everybody / INCOMING / "a.csv").chmod(0)
    drop(for_everybody, "b.csv", log_of("b"))
    for path in (for_everybody, *for_everybody.rglob("*")):
        if path.is_dir() or path.suffix == ".lock":
            path.chmod(0o777)
    assert as_nobody(lambda: outcomes(Applier(for_everybody).drain())) == [
        ["a.csv", "refused", "unreadable"],
        ["b.csv", "applied", None],
    ]
    assert [path.name[-5:] for path in (applier.root / REFUSED).iterdir()] == ["a.csv"]


def test_a_file_that_may_not_be_moved_waits_and_the_others_go_on(
    for_everybody: Path, as_nobody: Callable[[Callable[[], Any]], Any]
) -> None:
    Applier(for_everybody)
    a_folder(for_everybody / INCOMING / "a.csv")  # to move a folder elsewhere takes the right to write in it
    drop(for_everybody, "b.csv", log_of("b"))
    for path in (for_everybody, *for_everybody.rglob("*")):
        if path.is_dir() or path.suffix == ".lock":
            path.chmod(0o755 if path.name == "a.csv" else 0o777)
    if os.geteuid() != 0:
        (for_everybody / INCOMING / "a.csv").chmod(0o555)
    assert as_nobody(lambda: outcomes(Applier(for_everybody).drain())) == [["b.csv", "applied", None]]
    assert [path.name for path in (for_everybody / INCOMING).iterdir()] == ["a.csv"]
    assert not list((for_everybody / TAKEN).iterdir())


@pytest.mark.parametrize(
    "name", [b"caf\xe9.csv", b"a\nb.csv", b"\x1b[31m.csv", b"'; --.csv", b" .csv", b"x" * 251 + b".csv"]
)
def test_no_name_is_too_odd(applier: Applier, name: bytes) -> None:
    drop(applier.root, name, log_of("a"))  # type: ignore[arg-type]
    (found,) = applier.drain()
    assert found.outcome == "applied"
    (kept,) = (applier.root / DONE).iterdir()
    assert kept.name.isprintable() and hash_in_name(kept.name) == found.sha256[:12]
    assert json.loads(found.model_dump_json())["file"] == found.file


@pytest.mark.parametrize("moment", [0, 1, 4e9, 2e10])
def test_no_time_is_too_odd(applier: Applier, moment: float) -> None:
    drop(applier.root, "a.csv", log_of("a"), moment)
    assert [one.outcome for one in applier.drain()] == ["applied"]


def test_a_file_that_goes_before_it_is_taken_is_nobodys(applier: Applier) -> None:
    drop(applier.root, "a.csv", log_of("a"))
    note = Note(batch=0, name="a.csv", taken_at=DROPPED)
    write_durably(applier.root / TAKEN / "batch-00000000.json", note.model_dump_json())  # killed before its rename
    (applier.root / INCOMING / "a.csv").unlink()
    assert applier.drain() == []
    assert_nothing_is_left(applier.root)


def test_what_is_dropped_under_a_name_while_its_file_is_applied_is_another_file(applier: Applier) -> None:
    drop(applier.root, "a.csv", log_of("a"))
    file = applier.take()
    assert file is not None
    drop(applier.root, "a.csv", log_of("b"))
    applier.incoming.put_away(applier.publish(file))
    assert [one.outcome for one in applier.drain()] == ["applied"]
    assert {path.read_bytes() for path in (applier.root / DONE).iterdir()} == {log_of("a"), log_of("b")}


def test_a_file_at_which_the_stream_ends_in_a_fault_again_and_again_is_refused(applier: Applier) -> None:
    drop(applier.root, "a.csv", log_of("a"))
    drop(applier.root, "b.csv", log_of("b"), moment=2.0)
    for _ in range(MOST_FAULTS):
        file = applier.take()
        assert file is not None and file.trouble is None
        applier.incoming.count_fault(0)
    assert outcomes(applier.drain()) == [("a.csv", "refused", "fault"), ("b.csv", "applied", None)]
    drop(applier.root, "a.csv", log_of("a"))
    assert outcomes(applier.drain()) == [("a.csv", "applied", None)], "dropped again, it has its chance again"


def test_a_kill_is_no_fault_of_the_file(applier: Applier) -> None:
    drop(applier.root, "a.csv", log_of("a"))
    for _ in range(MOST_FAULTS + 1):
        assert Applier(applier.root).take() is not None
    assert outcomes(applier.drain()) == [("a.csv", "applied", None)]


def test_the_record_of_contents_is_made_again_from_the_batch_log(applier: Applier) -> None:
    for number in range(40):
        drop(applier.root, "a.csv", log_of(str(number)))
        applier.drain()
    shutil.rmtree(applier.root / "processed" / "stream_state")
    again = Applier(applier.root)
    store = StateStore(again.root)
    found = [store.batch_of(sha256(log_of(str(number))).hexdigest()) for number in range(40)]
    assert found == list(range(40)) and store.batch_of(sha256(b"").hexdigest()) is None


CONTENTS = st.sampled_from([log_of(), log_of("a"), log_of("b"), log_of("a", "b"), b"", b"a,b\n", log_of("a")[:-3]])
NAMES = st.sampled_from(["a.csv", "b.csv", "week [1].csv", "a b%20c.csv", ".x.csv", "x.csv.gz", Drop(1, DROPPED).name])


class Drops(RuleBasedStateMachine):
    """Files come, streams are killed, the root moves: every content that counts is applied once, and nothing is lost.

    To try what else happens to a root, add a rule: whatever it does, the invariants stay.
    """

    def __init__(self) -> None:
        super().__init__()
        self.home = Path(tempfile.mkdtemp())
        self.places = 0
        self.stream = Applier(self.home / "0")
        self.waiting: dict[str, bytes] = {}
        self.taken: list[bytes] = []

    def teardown(self) -> None:
        self.drain()
        self.all_is_accounted_for()
        shutil.rmtree(self.home)

    @rule(name=NAMES, content=CONTENTS, moment=st.floats(0, 4e9))
    def drop(self, name: str, content: bytes, moment: float) -> None:
        drop(self.stream.root, name, content, moment)  # type: ignore[arg-type]
        self.waiting[name] = content

    @rule()
    def apply(self) -> None:
        self._note(self.stream.apply_next())

    @rule()
    def drain(self) -> None:
        while (record := self.stream.apply_next()) is not None:
            self._note(record)

    @rule()
    def killed_after_it_took_a_file(self) -> None:
        file = self.stream.take()
        if file is not None and file.name in self.waiting and not (self._incoming() / file.name).exists():
            self.taken.append(self.waiting.pop(file.name))

    @rule()
    def killed_before_it_put_a_file_away(self) -> None:
        file = self.stream.take()
        if file is not None:
            self._note(self.stream.publish(file))

    @rule()
    def killed_before_it_took_a_file(self) -> None:
        if not names_taken(self.stream.root):
            note = Note(batch=self.stream.next_batch(), name="a.csv", taken_at=DROPPED)
            path = self.stream.root / TAKEN / f"batch-{note.batch:08d}.json"
            write_durably(path, note.model_dump_json())

    @rule()
    def started_again(self) -> None:
        self.stream = Applier(self.stream.root)

    @rule()
    def moved(self) -> None:
        self.places += 1
        self.stream.root.rename(self.home / str(self.places))  # type: ignore[arg-type]
        self.stream = Applier(self.home / str(self.places))

    @rule()
    def copied(self) -> None:
        self.places += 1
        shutil.copytree(self.stream.root, self.home / str(self.places))  # type: ignore[arg-type]
        self.stream = Applier(self.home / str(self.places))

    @precondition(lambda self: not self.waiting and not self.taken and not names_taken(self.stream.root))
    @rule()
    def lost_its_temporary_files(self) -> None:
        shutil.rmtree(self.stream.root / "temp")  # type: ignore[arg-type]
        self.stream = Applier(self.stream.root)

    @rule()
    def lost_its_record_of_contents(self) -> None:
        shutil.rmtree(self.stream.root / "processed" / "stream_state", ignore_errors=True)  # type: ignore[arg-type]
        self.stream = Applier(self.stream.root)

    @invariant()
    def all_is_accounted_for(self) -> None:
        records = self._records()
        applied = Counter(one.sha256 for one in records if one.outcome == "applied")
        assert all(times == 1 for times in applied.values())
        for one in records:
            assert one.outcome == "refused" or one.sha256 in applied
        known = {one.sha256 for one in records if one.outcome != "refused"}
        assert {sha256(path.read_bytes()).hexdigest() for path in self._files(DONE)} <= known
        found = Counter(path.read_bytes() for path in self._files(INCOMING))
        assert found == Counter(self.waiting.values())

    def _incoming(self) -> Path:
        return Path(str(self.stream.root)) / INCOMING

    def _files(self, folder: str) -> list[Path]:
        return list((Path(str(self.stream.root)) / folder).iterdir())

    def _records(self) -> list[BatchRecord]:
        batch_log = BatchLog(self.stream.root)
        return [one for number in batch_log.numbers() if (one := batch_log.record(number)) is not None]

    def _note(self, record: BatchRecord | None) -> None:
        """Has the model follow a record: what it says is what its file held."""
        if record is None:
            assert not self.taken and not any(name.endswith(".csv") and name[0] != "." for name in self.waiting)
            return
        content = self.taken.pop() if self.taken else self.waiting.pop(record.file)
        assert sha256(content).hexdigest() == record.sha256
        assert (record.outcome != "refused") == (content.partition(b"\n")[0] == HEADER.encode())


TestDrops = Drops.TestCase
TestDrops.settings = hypothesis_settings(max_examples=25, stateful_step_count=20, deadline=None)
