"""What decides that a dropped file is new: the record of contents, and nothing else (SPEC T1, T2, T6)."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import pyarrow.dataset as ds
import pytest
from click.testing import CliRunner
from hypothesis import Phase, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from spark_apps.cli import main
from spark_apps.engine.base import Engine
from spark_apps.engine.published import table_relation
from spark_apps.engine.spark import SparkEngine, engine_of
from spark_apps.generator import GeneratorSpec, write_events
from spark_apps.jobs import check, clean, features, load, train
from spark_apps.jobs.stream.batch import BatchProcessor
from spark_apps.jobs.stream.query import StopPolicy, run
from spark_apps.reconciliation.reconcile import Reconciliation
from spark_apps.settings import Settings
from spark_apps.storage import HdfsPath, StoragePath
from spark_apps.streaming.drop_files import Drop, read_drop
from spark_apps.streaming.intake import HASH_LETTERS, REASONS, hash_in_name
from spark_apps.streaming.records import BatchRecord
from spark_apps.tables import (
    DONE,
    INCOMING,
    INTERACTIONS,
    RECOMMENDATIONS,
    REFUSED,
    STREAM_EVENTS,
    TAKEN,
    USER_FEATURES,
    USER_SEGMENTS,
    DateRange,
)
from tests import oracle
from tests.comparing import assert_rows
from tests.engines import local_engine
from tests.factory import HEADER, csv_line, rows_of_files, write_log
from tests.pipeline.conftest import small_settings

DROPPED_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
ODD_NAMES = (
    "week [1].csv",
    "a{1}.csv",
    "a b%20c.csv",
    "a*b.csv",
    "a?b.csv",
    "ümlaut.csv",
    "a\\b.csv",
    "a\nb.csv",
    "#.csv",
)


@pytest.fixture(scope="session")
def small_settings_of_streams(settings: Settings) -> Settings:
    """Settings with which a training and a batch are cheap."""
    return small_settings(settings)


@pytest.fixture(scope="session")
def barely_trained(small_settings_of_streams: Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with the smallest training that a stream can go on from. Copy it, don't write to it."""
    root = tmp_path_factory.mktemp("barely-trained") / "root"
    write_events(GeneratorSpec(1_000, "2019-10", 3), log := root.parent / "log.csv")
    load.run(root, [log])
    clean.run(local_engine(), root, DateRange())
    train.run(local_engine(), small_settings_of_streams, root, DateRange(), "3", force=True)
    return root


@pytest.fixture
def root(barely_trained: Path, tmp_path: Path) -> Path:
    return shutil.copytree(barely_trained, tmp_path / "root")


def lines(first: int, number: int = 2) -> list[str]:
    """So many events that nothing else here has, of users from a number on."""
    return [csv_line(event_time="2019-11-01 10:00:00 UTC", user_id=user) for user in range(first, first + number)]


def text_of(events: Sequence[str]) -> bytes:
    return "\n".join([HEADER, *events, ""]).encode()


def drop(root: Path, name: str, content: bytes, moment: float | None = None) -> None:
    """Drops a file by rename, as the guide says."""
    (root / INCOMING).mkdir(parents=True, exist_ok=True)
    (draft := root / "draft").write_bytes(content)
    if moment is not None:
        os.utime(draft, (moment, moment))
    draft.rename(root / INCOMING / name)


def stream(settings: Settings, root: StoragePath, engine: Engine | None = None) -> list[BatchRecord]:
    told: list[BatchRecord] = []
    run(engine or local_engine(), settings, root, StopPolicy(once=True), told.append)
    return told


def streamed_users(root: Path) -> list[int]:
    """The users of the streamed events, each as often as it has events."""
    found = ds.dataset(root / STREAM_EVENTS.path, format="parquet").to_table(columns=["user_id"])
    return sorted(found["user_id"].to_pylist())


@pytest.fixture(params=["loop", "structured"])
def either(request: pytest.FixtureRequest) -> Engine:
    """An engine with which the stream is a loop of its own, and one with which Structured Streaming runs it."""
    return local_engine() if request.param == "loop" else request.getfixturevalue("structured")


@pytest.fixture
def structured(spark: SparkSession) -> SparkEngine:
    """Spark as on a cluster, where Structured Streaming runs the batches; its tasks run here."""
    engine = engine_of(spark)
    engine.is_cluster = True
    return engine


def test_a_second_content_under_the_same_name_is_applied(
    either: Engine, small_settings_of_streams: Settings, root: Path
) -> None:
    told = []
    for name, users in (("latest.csv", range(1, 3)), ("latest.csv", range(3, 6)), ("other.csv", range(6, 7))):
        drop(root, name, text_of(lines(users.start, len(users))))
        told += stream(small_settings_of_streams, root, either)
    assert [(one.outcome, one.rows) for one in told] == [("applied", 2), ("applied", 3), ("applied", 1)]
    assert streamed_users(root) == list(range(1, 7))
    assert len([path for path in (root / DONE).rglob("*") if path.is_file()]) == 3


def test_an_archives_old_time_makes_no_event_one_of_the_future(small_settings_of_streams: Settings, root: Path) -> None:
    drop(root, "a.csv", text_of(lines(1)), moment=1.0)
    (found,) = stream(small_settings_of_streams, root)
    assert (found.clean, found.quarantined) == (2, {})


def test_no_name_stops_the_stream(either: Engine, small_settings_of_streams: Settings, root: Path) -> None:
    for user, name in enumerate(ODD_NAMES, start=1):
        drop(root, name, text_of(lines(user, 1)))
    told = stream(small_settings_of_streams, root, either)
    assert [one.outcome for one in told] == ["applied"] * len(ODD_NAMES)
    assert streamed_users(root) == list(range(1, len(ODD_NAMES) + 1))


def test_a_root_elsewhere_goes_on_and_applies_nothing_again(small_settings_of_streams: Settings, root: Path) -> None:
    """Moved, copied as it is, and brought back without its temporary files."""
    drop(root, "a0.csv", text_of(lines(1)))
    assert [one.outcome for one in stream(small_settings_of_streams, root)] == ["applied"]
    for number, way in enumerate(("moved", "copied", "without temp"), start=1):
        elsewhere = root.with_name(way)
        if way == "moved":
            root.rename(elsewhere)
        else:
            shutil.copytree(root, elsewhere)
        if way == "without temp":
            shutil.rmtree(elsewhere / "temp")
        root = elsewhere
        drop(root, "a0.csv", text_of(lines(1)))
        drop(root, "a1.csv", text_of(lines(1 + 2 * number)))
        told = stream(small_settings_of_streams, root)
        assert [(one.file, one.outcome) for one in told] == [("a0.csv", "duplicate"), ("a1.csv", "applied")]
        assert streamed_users(root) == list(range(1, 3 + 2 * number))


@pytest.fixture
def on_cluster(small_settings_of_streams: Settings, barely_trained: Path, on_hdfs: HdfsPath) -> Settings:
    """Settings of tables on HDFS, as on a cluster."""
    for name in ("processed", "models"):
        for path in sorted((barely_trained / name).rglob("*")):
            if path.is_file():
                (on_hdfs / str(path.relative_to(barely_trained))).write_bytes(path.read_bytes())
    (on_hdfs / INCOMING).mkdir(parents=True)
    url, _, _ = on_hdfs.connection.about
    cluster = {"root": str(on_hdfs), "webhdfs": url}
    return small_settings_of_streams.model_copy(update=cluster)


def drop_on_hdfs(root: HdfsPath, name: str, content: bytes) -> None:
    draft = root / "draft"
    draft.write_bytes(content)
    draft.rename(root / INCOMING / name)


def test_on_hdfs_the_content_decides_and_no_name_stops_the_stream(
    structured: SparkEngine, on_cluster: Settings, on_hdfs: HdfsPath
) -> None:
    told: list[BatchRecord] = []
    for name, users in (("latest.csv", (1,)), ("latest.csv", (2, 3)), ("week [1].csv", (4,)), ("a b%20c.csv", (1,))):
        drop_on_hdfs(on_hdfs, name, text_of([line for user in users for line in lines(user, 1)]))
        if name != "week [1].csv":  # it waits together with the next one
            told += stream(on_cluster, on_hdfs, structured)
    assert [(one.file, one.outcome, one.rows) for one in told] == [
        ("latest.csv", "applied", 1),
        ("latest.csv", "applied", 2),
        ("week [1].csv", "applied", 1),
        ("a b%20c.csv", "duplicate", 0),
    ]
    assert done_balance(on_cluster, on_hdfs).found == len(told)


def test_on_hdfs_a_training_learns_from_both_parts_of_a_day(
    structured: SparkEngine, on_cluster: Settings, barely_trained: Path, on_hdfs: HdfsPath
) -> None:
    """A day that clean has, of which more is dropped: a purchase, and two users whom nobody knew."""
    rest = [csv_line(event_time="2019-10-20 20:00:00 UTC", user_id=user, event_type="purchase") for user in (1, 2, 2)]
    drop_on_hdfs(on_hdfs, "rest-of-day.csv", text_of(rest))
    (record,) = stream(on_cluster, on_hdfs, structured)
    assert (record.outcome, record.clean) == ("applied", len(rest))
    train.run(structured, on_cluster, on_hdfs, DateRange(), "3", force=True)
    assert_features(on_hdfs, [*lines_trained_on(barely_trained), *rest])
    for table in (USER_SEGMENTS, RECOMMENDATIONS):
        assert {1, 2} <= {row["user_id"] for row in rows_of_files(table_relation(on_hdfs, table).select("user_id"))}
    assert [one for one in check.run(structured, on_cluster, on_hdfs).balances if not one.holds] == []


def lines_trained_on(barely_trained: Path) -> list[str]:
    return barely_trained.with_name("log.csv").read_text(encoding="utf-8").splitlines()[1:]


EVENTS_OF_USERS = "select user_id, count(*) as total_events from events group by user_id order by user_id"


def assert_features(root: StoragePath, applied: Sequence[str]) -> None:
    """Checks interactions and the users' events against DuckDB's of all usable lines that were applied."""
    with tempfile.TemporaryDirectory() as folder:
        database = oracle.of_log(write_log(Path(folder) / "applied.csv", applied))
        pairs = rows_of_files(table_relation(root, INTERACTIONS), "user_id", "product_id")
        assert_rows(pairs, oracle.rows(database, oracle.INTERACTIONS), rel=1e-9)
        users = rows_of_files(table_relation(root, USER_FEATURES).select("user_id", "total_events"), "user_id")
        assert_rows(users, oracle.rows(database, EVENTS_OF_USERS))


def test_what_is_in_done_without_a_record_is_named(small_settings_of_streams: Settings, root: Path) -> None:
    drop(root, "a.csv", text_of(lines(1)))
    drop(root, "b.csv", text_of(lines(1)))
    drop(root, "empty.csv", b"")
    assert {one.outcome for one in stream(small_settings_of_streams, root)} == {
        "applied",
        "duplicate",
        "refused",
    }
    (root / DONE / "data").mkdir()
    old, forgotten = (root / DONE / "data" / name for name in ("a.csv", "forgotten.csv"))  # as earlier versions do
    old.write_bytes(text_of(lines(1)))
    assert done_balance(small_settings_of_streams, root).holds
    forgotten.write_bytes(text_of(lines(1)))
    old.write_bytes(text_of(lines(3)))
    old.rename(root / DONE / "00000000-0123456789ab-a.csv")
    found = done_balance(small_settings_of_streams, root)
    assert (found.expected, found.found) == (4, 2)
    assert found.examples == ("00000000-0123456789ab-a.csv: 1 and 0", "forgotten.csv: 1 and 0")


def done_balance(settings: Settings, root: StoragePath) -> Reconciliation:
    (found,) = [one for one in check.run(local_engine(), settings, root).balances if "done" in one.what]
    return found


def test_whatever_cannot_be_applied_is_refused_with_a_reason_and_status_says_what_is_left(
    either: Engine, small_settings_of_streams: Settings, root: Path
) -> None:
    incoming = root / INCOMING
    (incoming / "folder.csv").mkdir(parents=True)
    (incoming / "to-nothing.csv").symlink_to("nothing")
    os.mkfifo(incoming / "pipe.csv")
    left = (".part.csv", "_part.csv", "packed.csv.gz", "upper.CSV")
    for name, content in (("torn.csv", b"\x1f\x8b\x08"), ("empty.csv", b""), *((name, b"x") for name in left)):
        drop(root, name, content)
    (incoming / "a folder").mkdir()
    drop(root, "good.csv", text_of(lines(1)), moment=4e9)
    assert [one["name"] for one in status(root)["incoming"] if one["for_stream"]][-1] == "good.csv"
    told = {one.file: (one.outcome, one.reason) for one in stream(small_settings_of_streams, root, either)}
    assert told == {
        "folder.csv": ("refused", "folder"),
        "to-nothing.csv": ("refused", "unreadable"),
        "pipe.csv": ("refused", "not_a_file"),
        "torn.csv": ("refused", "header"),
        "empty.csv": ("refused", "empty"),
        "good.csv": ("applied", None),
    }
    assert stream(small_settings_of_streams, root, either) == [] and len(list((root / REFUSED).iterdir())) == 5
    found = status(root)
    assert {one["name"]: one["why"] for one in found["incoming"]} == {
        **dict.fromkeys((".part.csv", "_part.csv"), BEGINNING),
        **dict.fromkeys(("packed.csv.gz", "upper.CSV"), "its name does not end with .csv"),
        "a folder": "it is a folder",
    }
    assert (found["waiting"], len(found["refused"])) == (0, 5)
    page = CliRunner().invoke(main, ["stream", "status", "--root", str(root)], env={"COLUMNS": "100"}).stdout
    assert "packed.csv.gz" in page and REASONS["not_a_file"] in page


BEGINNING = "its name begins with a dot or an underscore, as those of unfinished files do"


def status(root: Path) -> dict[str, Any]:
    done = CliRunner().invoke(main, ["stream", "status", "--root", str(root), "--json"])
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_fault_of_ours_is_no_refusal(
    either: Engine, small_settings_of_streams: Settings, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(root, "a.csv", text_of(lines(1)))
    with monkeypatch.context() as patch:
        patch.setattr(BatchProcessor, "_learn", _fails)
        with pytest.raises(ZeroDivisionError):
            stream(small_settings_of_streams, root, either)
    (waiting,) = status(root)["incoming"]
    assert (waiting["name"], waiting["for_stream"]) == ("a.csv", True)
    assert [one.outcome for one in stream(small_settings_of_streams, root, either)] == ["applied"]


def _fails(*_: Any) -> None:
    raise ZeroDivisionError


@dataclass(frozen=True)
class Dropping:
    """One file of a sequence: what stands in it decides what is new; the rest must not.

    Attributes:
        users: who stands in it, with an event each.
        spoilt: whether there is a line that cannot be used, too.
        name, moment: of the file.
        torn: whether its header is none, so that it is refused.
        moved: whether the root is somewhere else from here on.
        then: what happens before the next file.
    """

    users: tuple[int, ...]
    spoilt: bool
    name: str
    moment: float
    torn: bool
    moved: bool
    then: Literal["wait", "stream", "load", "train"]

    @property
    def events(self) -> list[str]:
        """Its usable lines. A file named like one of the replay is taken for one, and has a day of its own."""
        return [csv_line(event_time=f"2019-11-{self.day} 10:00:00 UTC", user_id=user) for user in self.users]

    @property
    def content(self) -> bytes:
        spoilt = [csv_line(event_time=f"2019-11-{self.day} 11:00:00 UTC", event_type="wish")] if self.spoilt else []
        content = text_of([*self.events, *spoilt])
        return content.replace(b"event_time", b"time") if self.torn else content

    @property
    def rows(self) -> int:
        return len(self.users) + self.spoilt

    @property
    def day(self) -> str:
        return "01" if read_drop(self.name) is None else "02"


STEPS = st.builds(
    Dropping,
    users=st.sampled_from([(1,), (1, 2), (3,), ()]),
    spoilt=st.booleans(),
    name=st.sampled_from(["latest.csv", "latest.csv", *ODD_NAMES[:3], Drop(1, DROPPED_AT).name]),
    moment=st.floats(1.7e9, 4e9),
    torn=st.sampled_from([False, False, True]),
    moved=st.booleans(),
    then=st.sampled_from(["wait", "stream", "load", "train"]),
)


@dataclass
class Dropped:
    """A root, and by other means what is applied in it.

    Attributes:
        before: usable lines that it was trained on.
        waiting: names in incoming, with what was dropped under them last.
        streamed: what the stream read and did not refuse, by its content.
        loaded: what was loaded and cleaned, too.
        told: the stream's records.
    """

    settings: Settings
    root: Path
    before: list[str]
    waiting: dict[str, Dropping] = field(default_factory=dict)
    streamed: dict[bytes, Dropping] = field(default_factory=dict)
    loaded: dict[bytes, Dropping] = field(default_factory=dict)
    told: list[BatchRecord] = field(default_factory=list)

    def do(self, step: Dropping) -> None:
        """Drops a file, and does what follows."""
        if step.moved:
            self.root = self.root.rename(self.root.with_name(self.root.name + "0"))
        drop(self.root, step.name, step.content, step.moment)
        self.waiting[step.name] = step  # in place of a file of the same name that no stream has taken
        if step.then == "load":
            self.load(step)
        elif step.then != "wait":
            self.stream()
        if step.then == "train":
            features.run(local_engine(), self.settings, self.root, DateRange())
            self.assert_learned()

    def load(self, step: Dropping) -> None:
        """Has batch learn the same file as the stream."""
        if step.torn or not step.rows or step.content in self.loaded:
            return
        (file := self.root.with_name(f"loaded-{len(self.loaded)}.csv")).write_bytes(step.content)
        load.run(self.root, [file])
        clean.run(local_engine(), self.root, DateRange())
        self.loaded[step.content] = step

    def stream(self) -> None:
        """Starts the stream once more: it takes all that waits, and its record has the rows of distinct contents."""
        told = stream(self.settings, self.root)
        assert sorted(one.file for one in told) == sorted(self.waiting)
        self.told += told
        self.streamed |= {step.content: step for step in self.waiting.values() if not step.torn}
        self.waiting.clear()
        applied = [one for one in self.told if one.outcome == "applied"]
        assert {one.sha256 for one in applied} == {sha256(content).hexdigest() for content in self.streamed}
        assert sum(one.rows for one in applied) == sum(step.rows for step in self.streamed.values())
        assert len(applied) == len(self.streamed)
        users = [user for step in self.streamed.values() for user in step.users]
        assert not users or streamed_users(self.root) == sorted(users)
        assert not [*(self.root / INCOMING).iterdir(), *(self.root / TAKEN).iterdir()]
        kept = {hash_in_name(path.name) for path in (self.root / DONE).glob("*")}
        assert kept <= {one.sha256[:HASH_LETTERS] for one in self.told if one.outcome != "refused"}

    def train(self) -> None:
        """Trains everything: then `check` finds nothing wrong at all."""
        train.run(local_engine(), self.settings, self.root, DateRange(), "3", force=True)
        self.assert_learned(of_whom=())

    def assert_learned(self, of_whom: tuple[str, ...] = ("users",)) -> None:
        """Checks features against DuckDB's of all lines applied, and that `check` agrees.

        Args:
            of_whom: beginnings of what `check` may find wrong: segments are as old as the last whole training.
        """
        applied = [line for step in (self.streamed | self.loaded).values() for line in step.events]
        assert_features(self.root, [*self.before, *applied])
        held = check.run(local_engine(), self.settings, self.root).balances
        assert [one for one in held if not one.holds and not (of_whom and one.what.startswith(of_whom))] == []


TELLING = [
    Dropping((1, 2), False, "latest.csv", 1.7e9, torn=False, moved=False, then="train"),
    Dropping((3,), False, "latest.csv", 1.7e9, torn=False, moved=False, then="load"),  # and waits
    Dropping((1, 2), False, "week [1].csv", 4e9, torn=False, moved=True, then="stream"),
    Dropping((1,), True, "a{1}.csv", 1.8e9, torn=False, moved=False, then="train"),
    Dropping((1,), True, "latest.csv", 1.8e9, torn=True, moved=False, then="wait"),
    Dropping((1, 2), True, "a b%20c.csv", 1.7e9, torn=False, moved=True, then="load"),
    Dropping((3,), True, Drop(1, DROPPED_AT).name, 1.9e9, torn=False, moved=False, then="train"),
]


@given(steps=st.lists(STEPS, min_size=7, max_size=7))
@example(steps=TELLING)
@hypothesis_settings(max_examples=2, deadline=None, phases=[Phase.explicit, Phase.generate], derandomize=True)
def test_the_record_and_the_features_are_those_of_the_distinct_contents(
    small_settings_of_streams: Settings, barely_trained: Path, steps: list[Dropping]
) -> None:
    """Whatever is dropped in which order, through starts, moves of the root and trainings."""
    with tempfile.TemporaryDirectory() as home:
        root = shutil.copytree(barely_trained, Path(home) / "0")
        world = Dropped(small_settings_of_streams, root, lines_trained_on(barely_trained))
        for step in steps:
            world.do(step)
        world.stream()
        world.train()
