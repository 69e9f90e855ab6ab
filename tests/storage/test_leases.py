"""Locks on HDFS: one holder at a time, and a dead one's lease is free again."""

from __future__ import annotations

import json
import multiprocessing
import os
import socket
import subprocess
import sys
import threading

import pytest
from filelock import Timeout

from spark_apps.storage import HdfsPath, Lease, leases, lock_at
from tests.waiting import PATIENCE, beside, is_done


def lease(path: HdfsPath) -> Lease:
    found = lock_at(path)
    assert isinstance(found, Lease)
    return found


def taken_elsewhere(path: HdfsPath, pid: int, started: str | None, host: str) -> None:
    path.write_text(json.dumps({"host": host, "pid": pid, "started": started, "id": "another"}))


def test_a_lease_has_one_holder_and_goes_with_it(on_hdfs: HdfsPath) -> None:
    path = on_hdfs / "alive.lock"
    first, second = lease(path), lease(path)
    with first:
        assert first.held()
        with pytest.raises(Timeout):
            second.acquire(blocking=False)
        with first:
            pass
        assert first.held()
    assert not first.held() and not path.exists()
    with second:
        assert second.held() and not first.held()


def test_somebody_waits_until_the_lease_is_given_up(on_hdfs: HdfsPath) -> None:
    path = on_hdfs / "opening.lock"
    first = lease(path)

    def take() -> None:
        with lease(path):
            pass

    first.acquire()
    with beside(take) as second:
        assert not is_done(second, 1.0)
        first.release()
        assert is_done(second, PATIENCE)


def test_the_lease_of_a_process_that_was_killed_here_is_free_at_once(on_hdfs: HdfsPath) -> None:
    path = on_hdfs / "alive.lock"
    gone = subprocess.Popen([sys.executable, "-c", "pass"])
    gone.wait()
    taken_elsewhere(path, gone.pid, "12345", socket.gethostname())
    with lease(path) as mine:
        assert mine.held()
    # a later process with the number of the dead one
    taken_elsewhere(path, os.getpid(), "1", socket.gethostname())
    with lease(path) as mine:
        assert mine.held()


def test_the_lease_of_another_machine_is_free_when_it_is_stale(
    on_hdfs: HdfsPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = on_hdfs / "alive.lock"
    taken_elsewhere(path, 1, "1", "another-machine")
    with pytest.raises(Timeout):
        lease(path).acquire(blocking=False)
    path.touch_at(path.connection.now() - leases.LEASE_SECONDS - 2)
    with lease(path) as mine:
        assert mine.held()


def test_a_file_whose_writer_was_cut_off_is_no_lease_for_ever(on_hdfs: HdfsPath) -> None:
    path = on_hdfs / "alive.lock"
    path.write_text("")
    with pytest.raises(Timeout):
        lease(path).acquire(blocking=False)
    path.touch_at(path.connection.now() - leases.LEASE_SECONDS - 2)
    lease(path).acquire(blocking=False)


def test_a_held_lease_is_kept_fresh(on_hdfs: HdfsPath, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "_REFRESH_SECONDS", 0.1)
    path, touched = on_hdfs / "alive.lock", threading.Event()
    real = HdfsPath.touch_at

    def noted(self: HdfsPath, moment: float) -> None:
        real(self, moment)
        touched.set()

    with lease(path):
        path.touch_at(1000)
        monkeypatch.setattr(HdfsPath, "touch_at", noted)
        touched.clear()
        assert touched.wait(PATIENCE)
        assert abs(path.stat().st_mtime - path.connection.now()) < 5


def test_a_lease_that_was_taken_over_is_known_to_be_lost_and_left_alone(on_hdfs: HdfsPath) -> None:
    path = on_hdfs / "alive.lock"
    mine = lease(path)
    mine.acquire()
    taken_elsewhere(path, 1, "1", "another-machine")
    assert not mine.held()
    mine.release()
    assert path.exists()


def _count_up(uri: str, url: str, times: int) -> None:
    from spark_apps.storage import root_path

    root = root_path(uri, url)
    for _ in range(times):
        with lock_at(root / "opening.lock"):
            counter = root / "counter"
            counter.write_text(str(int(counter.read_text()) + 1))


def test_processes_take_turns(on_hdfs: HdfsPath) -> None:
    (on_hdfs / "counter").write_text("0")
    context = multiprocessing.get_context("spawn")
    arguments = (str(on_hdfs), on_hdfs.connection.url, 5)
    counting = [context.Process(target=_count_up, args=arguments) for _ in range(3)]
    for process in counting:
        process.start()
    for process in counting:
        process.join(60)
    assert [process.exitcode for process in counting] == [0, 0, 0]
    assert (on_hdfs / "counter").read_text() == "15"
