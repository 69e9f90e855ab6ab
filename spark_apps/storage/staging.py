"""Staging folders: each belongs to a live process, so that those of dead ones can be found and removed."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable
from typing import Generic, TypeVar, cast

from filelock import Timeout

from spark_apps.storage.leases import Lease, Lock, lock_at
from spark_apps.storage.paths import HdfsPath, StoragePath

Folder = TypeVar("Folder", bound=StoragePath)
_ALIVE = "alive.lock"
_OPENING = "opening.lock"


class StagingFolder(Generic[Folder]):
    """A folder of this process's own. The operating system drops its lock when the process dies."""

    def __init__(self, parent: Folder) -> None:
        """Makes a new empty folder below `parent` and marks it alive."""
        self.folder = cast(Folder, parent / uuid.uuid4().hex)
        self._alive = lock_at(self.folder / _ALIVE)
        parent.mkdir(parents=True, exist_ok=True)
        with folder_lock(parent):
            self.folder.mkdir()
            self._alive.acquire()

    def lost(self) -> bool:
        """Says whether others took this process for dead, which can happen on HDFS after a long silence."""
        return isinstance(self._alive, Lease) and not self._alive.held()

    def close(self, keep: bool = False) -> None:
        """Gives the folder up: removes it, or keeps it for whoever finishes its work."""
        self._alive.release()
        if not keep:
            discard(self.folder)


def folder_lock(parent: StoragePath) -> Lock:
    """Returns the lock under which staging folders below a folder are made and removed: milliseconds at a time."""
    return lock_at(parent / _OPENING, is_singleton=True)


def staging_folders(parent: StoragePath) -> list[StoragePath]:
    """Returns the staging folders below a folder, alive or dead."""
    return sorted(path for path in parent.glob("*") if path.is_dir())


def remove_abandoned(parent: StoragePath, before_removal: Callable[[StoragePath], None] | None = None) -> None:
    """Removes the staging folders of processes that died; call it with the folder's lock held.

    Args:
        parent: folder of the staging folders.
        before_removal: called with each abandoned folder before it is removed.
    """
    for folder in staging_folders(parent):
        alive = lock_at(folder / _ALIVE)
        try:
            alive.acquire(blocking=False)
        except Timeout:
            continue
        try:
            if before_removal is not None:
                before_removal(folder)
        finally:
            alive.release()
        discard(folder)


def discard(folder: StoragePath) -> None:
    """Removes a folder; what cannot be removed now (a file still open on Windows) is left to the next time."""
    if isinstance(folder, HdfsPath):
        folder.remove_tree()
    else:
        shutil.rmtree(folder, ignore_errors=True)
