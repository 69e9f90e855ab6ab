"""What the layout needs of a NameNode, over WebHDFS, with refusals that say what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from hdfs import HdfsError

from spark_apps.errors import HdfsUnreachableError, UserError
from spark_apps.platform.http import NoAnswerError, OtherAnswerError
from spark_apps.platform.namenode import ask_namenode
from spark_apps.platform.webhdfs import NoNameNodeError, WebHdfs

Result = TypeVar("Result")
# HDFS's number for "no quota" in its answers, and for "take it away" in requests
NO_QUOTA = -1
# what a NameNode tells of the root, which has always a quota of names
_ENDLESS = 2**63 - 1
_DENIED = ("AccessControlException", "SecurityException")


class HdfsRefusedError(UserError):
    """HDFS answered and did not do it."""


@dataclass(frozen=True)
class Entry:
    """A file or directory on HDFS.

    Attributes:
        path: where.
        is_file: false for a directory.
        owner: its user.
        group: its group.
        permission: its mode in octal digits, as 755 or 1777.
        size: bytes of one copy.
        replication: copies.
        modified: seconds since 1970 by the NameNode's clock.
    """

    path: str
    is_file: bool
    owner: str
    group: str
    permission: str
    size: int
    replication: int
    modified: float


@dataclass(frozen=True)
class Quotas:
    """The quotas of a directory and what of them is used; None is no quota."""

    names: int | None
    space: int | None
    names_used: int
    space_used: int


class HdfsAdmin:
    """One NameNode as its administrator sees it: owners, modes, quotas, copies; refusals are the user's errors."""

    def __init__(self, url: str, user: str, wait: float = 0) -> None:
        """Notes where to connect; the first call connects.

        Args:
            url: the NameNode's HTTP address, as http://namenode:9870.
            user: the HDFS user.
            wait: seconds that a call waits for a NameNode that is starting or in safe mode.
        """
        self.client = WebHdfs(url, user, wait=wait)

    def entry(self, path: str) -> Entry | None:
        """Returns what is at a path, or None where there is nothing."""
        status = self._look(path, lambda: self.client.status(path))
        return _entry(path, status) if status else None

    def entries(self, path: str) -> list[Entry]:
        """Returns what is in a directory; nothing where it is gone."""
        answer = self._look(path, lambda: self.client._list_status(path).json())
        found = answer["FileStatuses"]["FileStatus"] if answer else []
        return [_entry(_child(path, status["pathSuffix"]), status) for status in found if status["pathSuffix"]]

    def walk(self, path: str) -> Iterator[Entry]:
        """Yields everything below a directory, each directory before what is in it."""
        for entry in self.entries(path):
            yield entry
            if not entry.is_file:
                yield from self.walk(entry.path)

    def make(self, path: str, permission: str) -> None:
        """Makes a directory with a mode."""
        self._call(path, lambda: self.client.makedirs(path, permission=permission))
        # the NameNode may take bits away from what it was asked to make
        self.set_permission(path, permission)

    def set_permission(self, path: str, permission: str) -> None:
        """Sets the mode."""
        self._call(path, lambda: self.client.set_permission(path, permission))

    def set_owner(self, path: str, owner: str, group: str) -> None:
        """Sets owner and group."""
        self._call(path, lambda: self.client.set_owner(path, owner, group))

    def set_replication(self, path: str, copies: int) -> None:
        """Sets how many copies a file should have; HDFS makes or drops them in its own time."""
        self._call(path, lambda: self.client.set_replication(path, copies))

    def set_quotas(self, path: str, names: int | None, space: int | None) -> None:
        """Sets both quotas of a directory; None takes one away."""
        reported = {"namespacequota": names or NO_QUOTA, "storagespacequota": space or NO_QUOTA}
        self._call(path, lambda: self.client._set_quota(path, **reported))

    def quotas(self, path: str) -> Quotas:
        """Returns the quotas of a directory."""
        reported = self._call(path, lambda: self.client._get_quota_usage(path)).json()["QuotaUsage"]
        return Quotas(
            _quota(reported["quota"]),
            _quota(reported["spaceQuota"]),
            reported["fileAndDirectoryCount"],
            reported["spaceConsumed"],
        )

    def remove(self, path: str) -> bool:
        """Removes a file, or a directory with what is in it; false where there was nothing."""
        return bool(self._call(path, lambda: self.client.delete(path, recursive=True)))

    def now(self) -> float:
        """Returns the NameNode's time in seconds since 1970; ages of files are measured by it."""
        return self._call("/", self.client.now)

    def live_datanodes(self) -> int:
        """Returns how many DataNodes take data now: none that is being drained or has been.

        Raises:
            HdfsUnreachableError: when the NameNode does not answer.
            NoNameNodeError: when another server does.
        """
        try:
            return sum(not one.leaving for one in ask_namenode(self.client.url).datanodes)
        except NoAnswerError as error:
            raise HdfsUnreachableError(self.client.url, str(error)) from error
        except OtherAnswerError as error:
            raise NoNameNodeError(self.client.url) from error

    def _look(self, path: str, action: Callable[[], Result]) -> Result | None:
        """Does one call that asks for something; None where it is not there."""
        try:
            return self.client.attempt(action)
        except HdfsError as error:
            if error.exception == "FileNotFoundException":
                return None
            raise self._refusal(error, path) from error

    def _call(self, path: str, action: Callable[[], Result]) -> Result:
        try:
            return self.client.attempt(action)
        except HdfsError as error:
            raise self._refusal(error, path) from error

    def _refusal(self, error: HdfsError, path: str) -> HdfsRefusedError:
        said = (str(error).strip() or "no reason given").splitlines()[0]
        if error.exception in _DENIED:
            return HdfsRefusedError(
                f"HDFS refuses user {self.client.user} at {path} ({said[:200]}): run the command as its superuser, "
                "--user hdfs."
            )
        return HdfsRefusedError(f"HDFS refuses {path}: {said[:300]}")


def _child(path: str, name: str) -> str:
    return f"{path.rstrip('/')}/{name}"


def _entry(path: str, status: dict[str, Any]) -> Entry:
    return Entry(
        path,
        cast(bool, status["type"] == "FILE"),
        status["owner"],
        status["group"],
        status["permission"],
        status["length"],
        status["replication"],
        status["modificationTime"] / 1000,
    )


def _quota(reported: int) -> int | None:
    return None if reported in (NO_QUOTA, _ENDLESS) else reported
