"""Locks that end with their process: the operating system's for local folders, leases for HDFS.

A lease is a file that one process made and keeps fresh. It is free for others when its process is known to be dead
(same machine) or when it was not refreshed for LEASE_SECONDS by the NameNode's clock. Taking it over is a rename, so
one of several succeeds. A process that slept through its lease finds out by `held`, before it publishes anything.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from filelock import FileLock, Timeout

from spark_apps.platform.webhdfs import own_client
from spark_apps.storage.paths import HdfsPath, StoragePath

LEASE_SECONDS = 60.0
_REFRESH_SECONDS = 10.0
_RETRY_SECONDS = 0.25


class Lock(Protocol):
    """What local locks and leases have in common."""

    def acquire(self, timeout: float | None = None, *, blocking: bool | None = None) -> Any:
        """Takes the lock, waiting for it unless `blocking` is false; filelock.Timeout says that another has it."""

    def release(self) -> None:
        """Gives it up."""

    def __enter__(self) -> Any: ...

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def lock_at(path: StoragePath, is_singleton: bool = False) -> Lock:
    """Returns the lock that a file stands for.

    Args:
        path: the file; its folder exists when the lock is taken.
        is_singleton: the same object for every call in this process, so that it may be taken again by its holder.
    """
    if isinstance(path, Path):
        return FileLock(path, is_singleton=is_singleton)
    if not is_singleton:
        return Lease(path)
    with _singletons_guard:
        return _singletons.setdefault(str(path), Lease(path))


class Lease:
    """A lock on HDFS; it may be taken again by the thread that holds it."""

    def __init__(self, path: HdfsPath) -> None:
        """Names the lease; nothing is taken yet."""
        self._path, self._token, self._depth = path, "", 0
        self._thread_lock = threading.RLock()
        self._stop: threading.Event | None = None

    def acquire(self, timeout: float | None = None, *, blocking: bool | None = None) -> None:
        """Takes the lease; filelock.Timeout says that somebody else holds it and `blocking` was false."""
        if not self._thread_lock.acquire(blocking=blocking is not False):
            raise Timeout(str(self._path))
        try:
            while not (self._depth or self._take()):
                if blocking is False:
                    raise Timeout(str(self._path))
                time.sleep(_RETRY_SECONDS)  # HDFS tells nobody when a file goes
        except BaseException:
            self._thread_lock.release()
            raise
        self._depth += 1

    def release(self) -> None:
        """Gives it up; a lease that was lost meanwhile is left alone."""
        self._depth -= 1
        try:
            if not self._depth:
                self._give_up()
        finally:
            self._thread_lock.release()

    def held(self) -> bool:
        """Says whether this process still holds the lease, by what stands on HDFS."""
        return bool(self._depth) and self._holder() == self._token

    def __enter__(self) -> Lease:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _take(self) -> bool:
        token = _new_token()
        if not self._path.create(token.encode()):
            holder = self._holder()
            if holder is None or not self._is_free(holder) or not self._move_away(holder):
                return False
            if not self._path.create(token.encode()):
                return False
        self._token, self._stop = token, threading.Event()
        threading.Thread(target=self._keep_fresh, args=(self._stop,), daemon=True).start()
        return True

    def _give_up(self) -> None:
        assert self._stop is not None
        self._stop.set()
        if self._holder() == self._token:
            self._path.unlink(missing_ok=True)

    def _holder(self) -> str | None:
        try:
            return self._path.read_text()
        except FileNotFoundError:
            return None

    def _is_free(self, holder: str) -> bool:
        """Says whether a holder is dead; an empty file is one that is being written, or whose writer was killed."""
        known: dict[str, Any] = json.loads(holder) if holder else {"host": None}
        if known["host"] == socket.gethostname():
            return bool(_started(known["pid"]) != known["started"])
        try:
            refreshed = self._path.stat().st_mtime
        except FileNotFoundError:
            return False
        return self._path.connection.now() - refreshed > LEASE_SECONDS

    def _move_away(self, holder: str) -> bool:
        """Takes a dead holder's file away; false when somebody else was quicker."""
        aside = self._path.with_name(f"{self._path.name}.{uuid.uuid4().hex}")
        try:
            self._path.rename(aside)
        except FileNotFoundError:
            return False
        mine = aside.read_text() == holder
        if not mine and not self._path.exists():
            aside.rename(self._path)  # a new holder's, caught between two looks: it gets its lease back
        else:
            aside.unlink(missing_ok=True)
        return mine

    def _keep_fresh(self, stop: threading.Event) -> None:
        # a connection of its own: requests' sessions are not for several threads
        path = HdfsPath(self._path._authority, self._path.path, own_client(self._path.connection))
        while not stop.wait(_REFRESH_SECONDS):
            try:
                path.touch_at(path.connection.now())
            except FileNotFoundError:
                return  # given up, or lost: `held` tells


_singletons: dict[str, Lease] = {}
_singletons_guard = threading.Lock()


def _new_token() -> str:
    pid = os.getpid()
    return json.dumps({"host": socket.gethostname(), "pid": pid, "started": _started(pid), "id": uuid.uuid4().hex})


def _started(pid: int) -> str | None:
    """What tells a process from a later one with its number: its start by the kernel's clock; None when it is gone."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    return status.rpartition(")")[2].split()[19]
