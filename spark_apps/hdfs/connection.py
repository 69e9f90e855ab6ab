"""The few calls to a NameNode that the layout needs, over WebHDFS, with errors that say what to do."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar, cast

import requests
from hdfs import HdfsError, InsecureClient
from hdfs.client import _Request  # the package's own way to name an operation of WebHDFS

from spark_apps.errors import UserError

Result = TypeVar("Result")
# HDFS's number for "no quota" when it tells one, and for "take it away" when it is told
NO_QUOTA = -1
# what a NameNode tells of the root, which has always a quota of names
_ENDLESS = 2**63 - 1
_TIMEOUT_SECONDS = (5, 60)
_LEAVING_DATANODES = ("NumDecomLiveDataNodes", "NumDecommissioningDataNodes")
_PAUSE_SECONDS = 0.5
_DENIED = ("AccessControlException", "SecurityException")
_NOT_NOW = ("RetriableException", "StandbyException", "SafeModeException")


class HdfsRefusedError(UserError):
    """HDFS answered and did not do it."""


class HdfsAwayError(UserError):
    """HDFS did not answer, or does not take changes now."""


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


class _Client(InsecureClient):  # type: ignore[misc]  # the package has no types
    # each name is an operation of WebHDFS: SETQUOTA, GETQUOTAUSAGE
    _set_quota = _Request("PUT")
    _get_quota_usage = _Request("GET")


class Hdfs:
    """One NameNode, as one user sees it."""

    def __init__(self, url: str, user: str, wait: float = 0) -> None:
        """Notes where to connect; the first call connects.

        Args:
            url: the NameNode's HTTP address, as http://namenode:9870.
            user: the HDFS user.
            wait: seconds that a call waits for a NameNode that is starting or in safe mode.
        """
        self.url, self.user, self._wait = url.rstrip("/"), user, wait
        self._client = _Client(self.url, user=user, timeout=_TIMEOUT_SECONDS)

    def entry(self, path: str) -> Entry | None:
        """Returns what is at a path, or None where there is nothing."""
        status = self._look(path, lambda: self._client.status(path))
        return _entry(path, status) if status else None

    def entries(self, path: str) -> list[Entry]:
        """Returns what is in a directory; nothing where it is gone."""
        answer = self._look(path, lambda: self._client._list_status(path).json())
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
        self._call(path, lambda: self._client.makedirs(path, permission=permission))
        # the NameNode may take bits away from what it was asked to make
        self.set_permission(path, permission)

    def set_permission(self, path: str, permission: str) -> None:
        """Sets the mode."""
        self._call(path, lambda: self._client.set_permission(path, permission))

    def set_owner(self, path: str, owner: str, group: str) -> None:
        """Sets owner and group."""
        self._call(path, lambda: self._client.set_owner(path, owner, group))

    def set_replication(self, path: str, copies: int) -> None:
        """Sets how many copies a file should have; HDFS makes or drops them in its own time."""
        self._call(path, lambda: self._client.set_replication(path, copies))

    def set_quotas(self, path: str, names: int | None, space: int | None) -> None:
        """Sets both quotas of a directory; None takes one away."""
        told = {"namespacequota": names or NO_QUOTA, "storagespacequota": space or NO_QUOTA}
        self._call(path, lambda: self._client._set_quota(path, **told))

    def quotas(self, path: str) -> Quotas:
        """Returns the quotas of a directory."""
        told = self._call(path, lambda: self._client._get_quota_usage(path)).json()["QuotaUsage"]
        return Quotas(
            _quota(told["quota"]), _quota(told["spaceQuota"]), told["fileAndDirectoryCount"], told["spaceConsumed"]
        )

    def remove(self, path: str) -> bool:
        """Removes a file, or a directory with what is in it; false where there was nothing."""
        return bool(self._call(path, lambda: self._client.delete(path, recursive=True)))

    def now(self) -> float:
        """Returns the NameNode's time in seconds since 1970; ages of files are told by it."""
        response = self._call("/", lambda: self._client._get_file_status("/"))
        return parsedate_to_datetime(response.headers["Date"]).timestamp()

    def live_datanodes(self) -> int:
        """Returns how many DataNodes take data now: none that is being drained or has been.

        Raises:
            HdfsAwayError: when the NameNode does not tell.
        """
        query = {"qry": "Hadoop:service=NameNode,name=FSNamesystemState"}
        answer = self._call("/jmx", lambda: requests.get(f"{self.url}/jmx", params=query, timeout=_TIMEOUT_SECONDS))
        try:
            state = answer.json()["beans"][0]
            return int(state["NumLiveDataNodes"]) - sum(int(state[name]) for name in _LEAVING_DATANODES)
        except (ValueError, LookupError):
            raise _no_namenode(self.url) from None

    def _look(self, path: str, action: Callable[[], Result]) -> Result | None:
        """Does one call that asks for something; None where it is not there."""

        def look() -> Result | None:
            try:
                return action()
            except HdfsError as error:
                if error.exception == "FileNotFoundException":
                    return None
                raise

        return self._call(path, look)

    def _call(self, path: str, action: Callable[[], Result]) -> Result:
        deadline = time.monotonic() + self._wait
        while True:
            try:
                return action()
            except (requests.RequestException, HdfsError) as error:
                passing = not isinstance(error, HdfsError) or error.exception in _NOT_NOW
                if not passing or time.monotonic() >= deadline:
                    raise self._as_user_error(error, path) from error
            except LookupError as error:  # JSON, but not WebHDFS's
                raise _no_namenode(self.url) from error
            time.sleep(_PAUSE_SECONDS)  # nothing tells when a NameNode is ready

    def _as_user_error(self, error: Exception, path: str) -> UserError:
        if isinstance(error, requests.exceptions.InvalidJSONError) or getattr(error, "exception", "") is None:
            return _no_namenode(self.url)
        if not isinstance(error, HdfsError):
            return HdfsAwayError(
                f"HDFS does not answer at {self.url} ({_why(error)}): see `shopstream cluster status`, and that "
                "--webhdfs is the NameNode's HTTP address."
            )
        said = str(error).strip().splitlines()[0] if str(error).strip() else "no reason given"
        if error.exception == "SafeModeException":
            return HdfsAwayError(
                "HDFS is in safe mode and takes no changes: wait until its DataNodes have reported "
                "(`shopstream cluster status`), or give a longer --wait."
            )
        if error.exception in _DENIED:
            return HdfsRefusedError(
                f"HDFS refuses user {self.user} at {path} ({said[:200]}): run the command as its superuser, "
                "--user hdfs."
            )
        return HdfsRefusedError(f"HDFS refuses {path}: {said[:300]}")


def _no_namenode(url: str) -> HdfsAwayError:
    return HdfsAwayError(f"What answers at {url} is no NameNode, or wants a login: see --webhdfs.")


def _why(error: Exception) -> str:
    known = {
        requests.ConnectTimeout: "no connection in time",
        requests.ReadTimeout: "no answer in time",
        requests.exceptions.InvalidURL: "no address",
        requests.exceptions.MissingSchema: "no http:// before it",
        requests.ConnectionError: "connection refused or host unknown",
    }
    return next((text for kind, text in known.items() if isinstance(error, kind)), str(error)[:120])


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


def _quota(told: int) -> int | None:
    return None if told in (NO_QUOTA, _ENDLESS) else told
