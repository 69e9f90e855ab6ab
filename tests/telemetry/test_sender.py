"""Sending the batch log in order, after restarts and past trouble; into files, which need no server."""

from __future__ import annotations

import getpass
import time
import uuid
from datetime import timedelta
from pathlib import Path

import pytest

from spark_apps.errors import UnusableFileError
from spark_apps.storage import StoragePath, root_path
from spark_apps.tables import BATCH_LOG, DELIVERY_OFFSETS, LINE_PROTOCOL
from spark_apps.telemetry import sinks
from spark_apps.telemetry.delivery_offset import DeliveryOffset
from spark_apps.telemetry.sender import Delivery, Sender, SinkStatus, describe_status
from spark_apps.telemetry.sinks import FileSink
from tests.hdfs.server import HdfsServer
from tests.telemetry.batch_logs import files_of, records, write_batch_log
from tests.waiting import eventually


def sent_by(delivery: Delivery) -> int:
    number = 0
    while delivery.step():
        number += 1
    return number


def content(root: StoragePath) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (root / LINE_PROTOCOL).iterdir()}


def test_sends_what_is_not_sent_yet(tmp_path: Path) -> None:
    batches = records(12)
    write_batch_log(tmp_path, batches[:8])
    assert sent_by(Delivery(tmp_path, FileSink(tmp_path))) == 8
    assert sent_by(Delivery(tmp_path, FileSink(tmp_path))) == 0
    write_batch_log(tmp_path, batches[8:])
    assert sent_by(Delivery(tmp_path, FileSink(tmp_path))) == 4
    assert content(tmp_path) == files_of(batches)
    (status,) = describe_status(tmp_path)
    assert (status.last, status.waiting, status.error) == (11, 0, None)


def test_killed_before_it_was_noted_sends_the_same_again(tmp_path: Path) -> None:
    batches = records(5)
    write_batch_log(tmp_path, batches)
    killed = Delivery(tmp_path, FileSink(tmp_path))
    assert killed.step() and killed.step() and killed.step()
    before = content(tmp_path)
    assert DeliveryOffset(tmp_path).read(FileSink(tmp_path).name).batch < 2
    assert sent_by(Delivery(tmp_path, FileSink(tmp_path))) > 2
    assert content(tmp_path) == {**files_of(batches), **before}


def test_an_empty_root_has_nothing_to_send(tmp_path: Path) -> None:
    assert sent_by(Delivery(tmp_path, FileSink(tmp_path))) == 0
    assert describe_status(tmp_path) == []


def test_an_hour_is_sent_with_the_first_batch_after_it_also_after_a_restart(tmp_path: Path) -> None:
    batches = records(800, age=timedelta(hours=3))  # two whole hours and more
    write_batch_log(tmp_path, batches[:500])
    for _ in range(3):
        delivery = Delivery(tmp_path, FileSink(tmp_path))
        assert all(delivery.step() for _ in range(150))
        delivery.close()
    write_batch_log(tmp_path, batches[500:])
    assert sent_by(Delivery(tmp_path, FileSink(tmp_path))) == 350
    assert content(tmp_path) == files_of(batches)
    closing = [name for name, lines in content(tmp_path).items() if b"product_popularity_hourly" in lines]
    assert len(closing) == 2 or len(closing) == 3


def test_batches_without_a_record_are_passed_over(tmp_path: Path) -> None:
    batches = [one for one in records(30) if one.batch not in (0, 7, 8, 20)]
    write_batch_log(tmp_path, batches)
    assert sent_by(Delivery(tmp_path, FileSink(tmp_path))) == 26
    assert content(tmp_path) == files_of(batches)


def test_a_batch_log_that_began_anew_is_sent_anew(tmp_path: Path) -> None:
    write_batch_log(tmp_path, records(6))
    sent_by(Delivery(tmp_path, FileSink(tmp_path)))
    for path in (tmp_path / BATCH_LOG).iterdir():
        path.unlink()
    other = records(4)  # their files were dropped later, so they have other names
    write_batch_log(tmp_path, other)
    assert describe_status(tmp_path)[0].waiting == 4
    assert sent_by(Delivery(tmp_path, FileSink(tmp_path))) == 4
    assert content(tmp_path)["batch-00000003.lp"] == files_of(other)["batch-00000003.lp"]


def test_again_sends_everything(tmp_path: Path) -> None:
    write_batch_log(tmp_path, records(6))
    sent_by(Delivery(tmp_path, FileSink(tmp_path)))
    assert sent_by(Delivery(tmp_path, FileSink(tmp_path), again=True)) == 6


def test_a_marker_that_cannot_be_understood_means_that_nothing_was_sent(tmp_path: Path) -> None:
    write_batch_log(tmp_path, records(3))
    sent_by(Delivery(tmp_path, FileSink(tmp_path)))
    (tmp_path / DELIVERY_OFFSETS).write_text("{}]")
    assert sent_by(Delivery(tmp_path, FileSink(tmp_path))) == 3


def test_a_record_of_another_version_is_named(tmp_path: Path) -> None:
    write_batch_log(tmp_path, records(1))
    path = tmp_path / BATCH_LOG / "batch-00000000.json"
    path.write_text('{"batch": 0}')
    delivery = Delivery(tmp_path, FileSink(tmp_path))
    with pytest.raises(UnusableFileError, match=r"batch-00000000\.json is no record of a batch as this version"):
        delivery.step()
    assert "batch-00000000.json" in (describe_status(tmp_path)[0].error or "")


def test_files_are_bounded_in_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sinks, "FILES_KEPT", 4)
    batches = records(10)
    write_batch_log(tmp_path, batches)
    sent_by(Delivery(tmp_path, FileSink(tmp_path)))
    assert content(tmp_path) == dict(list(files_of(batches).items())[-4:])


def test_the_thread_goes_on_when_what_stood_in_the_way_is_gone(tmp_path: Path) -> None:
    batches = records(20)
    (tmp_path / "reports").mkdir()
    (tmp_path / LINE_PROTOCOL).write_text("in the way")
    sender = Sender(tmp_path, FileSink(tmp_path))
    sender.start()
    write_batch_log(tmp_path, batches[:15])
    sender.wake()
    eventually(lambda: sender.status().error is not None, "the trouble is told")
    assert (sender.status().last, sender.status().waiting) == (None, 15)
    (tmp_path / LINE_PROTOCOL).unlink()
    eventually(lambda: sender.status().last == 14, "the first are sent")
    write_batch_log(tmp_path, batches[15:])
    done = sender.stop(30)
    assert (done.last, done.waiting, done.error) == (19, 0, None)
    assert content(tmp_path) == files_of(batches)


def test_stop_keeps_its_deadline_and_leaves_the_rest_for_later(tmp_path: Path) -> None:
    write_batch_log(tmp_path, records(400))
    sender = Sender(tmp_path, FileSink(tmp_path))
    sender.start()
    started = time.monotonic()
    done = sender.stop(0.05)
    assert time.monotonic() - started < 5
    assert done.waiting > 0
    sender._thread.join(10)
    assert not sender._thread.is_alive()
    assert sent_by(Delivery(tmp_path, FileSink(tmp_path))) >= 1
    assert content(tmp_path).keys() == files_of(records(400)).keys()


def test_stop_ends_at_once_while_the_sink_is_away(tmp_path: Path) -> None:
    write_batch_log(tmp_path, records(3))
    (tmp_path / "reports").write_text("in the way")
    sender = Sender(tmp_path, FileSink(tmp_path))
    sender.start()
    eventually(lambda: sender.status().error is not None, "the trouble is told")
    started = time.monotonic()
    done = sender.stop(60)
    assert time.monotonic() - started < 10
    assert (done.last, done.waiting) == (None, 3)


def test_a_sender_that_was_never_started_can_be_stopped(tmp_path: Path) -> None:
    write_batch_log(tmp_path, records(2))
    done = Sender(tmp_path, FileSink(tmp_path)).stop(1)
    assert (done.last, done.waiting) == (None, 2)


def test_on_hdfs(hdfs_server: HdfsServer) -> None:
    folder = f"/metrics-{uuid.uuid4().hex[:8]}"
    made = root_path(hdfs_server.uri + folder, hdfs_server.webhdfs, hdfs_server.superuser)
    made.mkdir()
    made.connection.set_owner(folder, owner=getpass.getuser(), group="shopstream")  # type: ignore[union-attr]
    root = root_path(hdfs_server.uri + folder, hdfs_server.webhdfs)
    batches = records(6)
    sender = Sender(root, FileSink(root))
    sender.start()
    write_batch_log(root, batches[:3])
    sender.wake()
    eventually(lambda: sender.status().last == 2, "the first are sent")
    write_batch_log(root, batches[3:])
    done = sender.stop(60)
    assert done == SinkStatus(FileSink(root).name, 5, 0, done.moment, 0, None)
    assert content(root) == files_of(batches)
    assert describe_status(root) == [done]
