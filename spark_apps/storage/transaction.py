"""Transactions of journalled renames: several tables and models appear together, or not at all.

A job writes into its own folder below temp/publish. When everything is there, it writes a
journal of the renames to do (itself by rename: this is the commit) and does them. A job killed
before its journal leaves what was published untouched; killed after it, the next command that
reads or writes under the root finishes the renames. Locks that end with
their process keep writers of the same tables apart, and readers away from half-done renames.
"""

from __future__ import annotations

import errno
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from spark_apps.errors import BusyRootError, LostClaimError
from spark_apps.storage.leases import Lock
from spark_apps.storage.paths import HdfsPath, StoragePath, write_durably
from spark_apps.storage.staging import StagingFolder, folder_lock, remove_abandoned, staging_folders
from spark_apps.tables import JOURNAL, OWNER, TRANSACTIONS

_REPLACED = "replaced"


class Transaction:
    """A set of folders and files that replace their published versions at one moment.

    Use as a context manager: leaving it without `commit` discards what was written.
    """

    def __init__(self, root: StoragePath, targets: list[str]) -> None:
        """Opens a transaction.

        Args:
            root: folder of the tables.
            targets: paths below the root that will be replaced, as a claim against other writers;
                a claim on a folder covers what is below it.

        Raises:
            BusyRootError: when a live process has claimed one of them.
        """
        self._root = root
        self._moves: list[tuple[str | None, str]] = []
        parent = root / TRANSACTIONS
        parent.mkdir(parents=True, exist_ok=True)
        with folder_lock(parent):
            _finish_dead(root)
            _refuse_overlap(root, targets)
            self._staging = StagingFolder(parent)
            self._folder = self._staging.folder
            owner = {"writer": _writer(root), "targets": targets}
            write_durably(self._folder / OWNER, json.dumps(owner))

    def __enter__(self) -> Transaction:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        # a journal still here means that its renames were cut short: the next command finishes them
        self._staging.close(keep=(self._folder / JOURNAL).exists())

    def stage(self, target: str) -> StoragePath:
        """Returns the unpublished folder or file for a path below the root; its parent exists."""
        staged = self._folder / "staged" / target
        staged.parent.mkdir(parents=True, exist_ok=True)
        return staged

    def scratch(self, name: str) -> StoragePath:
        """Returns a path for intermediate files that are never published."""
        return self._folder / "scratch" / name

    def replace(self, target: str, staged: StoragePath | None = None) -> None:
        """Notes that at commit `target` is replaced by what was staged.

        Args:
            target: path below the root.
            staged: where its new version stands; by default `stage(target)`.
        """
        source = staged if staged is not None else self.stage(target)
        self._moves.append((source.relative_to(self._folder).as_posix(), target))

    def remove(self, target: str) -> None:
        """Notes that at commit `target` goes away."""
        self._moves.append((None, target))

    def keep(self, target: str) -> None:
        """Takes back what was noted for `target`: at commit it stays as it is."""
        self._moves = [move for move in self._moves if move[1] != target]

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Keeps everybody else from publishing: what is read in it, decided and committed is one step for all others.

        Raises:
            LostClaimError: when others took this process for dead.
        """
        with commit_lock(self._root):
            self.check_claim()
            yield

    def commit(self) -> None:
        """Makes every noted replacement visible.

        Raises:
            LostClaimError: when others took this process for dead; then nothing was replaced.
        """
        with folder_lock(self._root / TRANSACTIONS):
            self.check_claim()
            write_durably(self._folder / JOURNAL, json.dumps(self._moves))
            _roll_forward(self._root, self._folder)

    def check_claim(self) -> None:
        """Checks that nobody took this process for dead and its claim for free.

        Raises:
            LostClaimError: when somebody did.
        """
        if self._staging.lost():
            raise LostClaimError(", ".join(target for _, target in self._moves) or str(self._root))


def recover(root: StoragePath) -> None:
    """Finishes transactions that were committed by a process that died, and waits for one under way."""
    if _committed(root):
        with folder_lock(root / TRANSACTIONS):
            _finish_dead(root)


@contextmanager
def commit_lock(root: StoragePath) -> Iterator[None]:
    """Keeps transactions from becoming visible while a reader lists files: it sees one of them, no mixture.

    Files that were listed may be replaced afterwards; reading them then fails and never gives other rows.
    A reader who may not write under the root cannot hold writers back, and lists without it.
    """
    recover(root)
    lock = folder_lock(root / TRANSACTIONS)
    held = (root / TRANSACTIONS).is_dir() and _acquired(lock)
    try:
        if held and _committed(root):
            _finish_dead(root)
        yield
    finally:
        if held:
            lock.release()


def _acquired(lock: Lock) -> bool:
    try:
        lock.acquire()
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            return False
        raise
    return True


def _committed(root: StoragePath) -> bool:
    return any((folder / JOURNAL).exists() for folder in staging_folders(root / TRANSACTIONS))


def _finish_dead(root: StoragePath) -> None:
    def finish(folder: StoragePath) -> None:
        if (folder / JOURNAL).exists():
            _roll_forward(root, folder)

    remove_abandoned(root / TRANSACTIONS, before_removal=finish)


def _refuse_overlap(root: StoragePath, targets: list[str]) -> None:
    for folder in staging_folders(root / TRANSACTIONS):
        try:
            owner = json.loads((folder / OWNER).read_text(encoding="utf-8"))
        except FileNotFoundError:
            continue  # it is being removed by its process, which is done
        common = [mine for mine in targets if any(_overlap(mine, other) for other in owner["targets"])]
        if common:
            raise BusyRootError(", ".join(common), owner["writer"])


def _overlap(one: str, other: str) -> bool:
    return one == other or one.startswith(other + "/") or other.startswith(one + "/")


def _roll_forward(root: StoragePath, folder: StoragePath) -> None:
    """Does the journal's renames; safe to repeat from any point, because each step looks before it acts."""
    moves: list[tuple[str | None, str]] = json.loads((folder / JOURNAL).read_text(encoding="utf-8"))
    for number, (source, target) in enumerate(moves):
        staged = folder / source if source is not None else None
        published, replaced = root / target, folder / _REPLACED / str(number)
        if staged is not None and staged.is_file() and published.is_file():
            staged.replace(published)  # one step, so a reader without the lock finds the old file or the new one
            continue
        still_to_do = staged is None or staged.exists()
        if still_to_do and published.exists() and not replaced.exists():
            replaced.parent.mkdir(exist_ok=True)
            published.rename(replaced)
        if staged is not None and staged.exists():
            published.parent.mkdir(parents=True, exist_ok=True)
            staged.rename(published)
    (folder / JOURNAL).unlink()


def _writer(root: StoragePath) -> str:
    """This process, as the person who has to wait for it knows it."""
    return f"{os.getpid()} on {socket.gethostname()}" if isinstance(root, HdfsPath) else str(os.getpid())
