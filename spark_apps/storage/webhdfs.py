"""Calls to HDFS over WebHDFS: they outlive a NameNode's restart, and fail with errors that Python knows."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any, TypeVar

import requests
from hdfs import HdfsError, InsecureClient

from spark_apps.errors import HdfsUnreachableError

Result = TypeVar("Result")

# How long a NameNode may be away or in safe mode before a call gives up; one that never answered this process was
# probably misnamed.
PATIENCE_SECONDS, FIRST_PATIENCE_SECONDS = 180.0, 5.0
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.1, 3.0
_TIMEOUT_SECONDS = (10, 120)
_PASSING = {"RetriableException", "StandbyException", "SafeModeException"}
_OS_ERRORS = {
    "FileNotFoundException": errno.ENOENT,
    "FileAlreadyExistsException": errno.EEXIST,
    "AlreadyBeingCreatedException": errno.EEXIST,  # somebody else is just writing it
    "AccessControlException": errno.EACCES,
    "SecurityException": errno.EACCES,
    "ParentNotDirectoryException": errno.ENOTDIR,
    "PathIsNotEmptyDirectoryException": errno.ENOTEMPTY,
    "DSQuotaExceededException": errno.EDQUOT,
    "NSQuotaExceededException": errno.EDQUOT,
    "QuotaByStorageTypeExceededException": errno.EDQUOT,
}


_answered: set[str] = set()


class Connection(InsecureClient):  # type: ignore[misc]  # the package has no types
    """A WebHDFS client that says how many copies its files have; a DataNode's own default is as old as its start."""

    def __init__(self, url: str, user: str, copies: int | None) -> None:
        super().__init__(url, user=user, timeout=_TIMEOUT_SECONDS, session=requests.Session())
        self.user, self.copies = user, copies

    @property
    def about(self) -> tuple[str, str, int | None]:
        """What `client` needs to make such a client."""
        return self.url, self.user, self.copies

    def write(self, hdfs_path: str, data: bytes, overwrite: bool = False, append: bool = False) -> None:
        """Writes a file or, with `append`, more of one."""
        copies = None if append else self.copies
        super().write(hdfs_path, data=data, overwrite=overwrite, append=append, replication=copies)


@lru_cache(maxsize=8)
def client(url: str, user: str, copies: int | None = None) -> Connection:
    """Returns the client of one NameNode for one user, shared by all paths of it.

    Args:
        url: the NameNode's HTTP address, for example http://namenode:9870.
        user: the HDFS user.
        copies: how many copies the blocks of its files have; None leaves it to HDFS.
    """
    return Connection(url, user, copies)


def own_client(connection: Connection) -> Connection:
    """Returns another client of the same NameNode and user, for another thread."""
    return Connection(*connection.about)


def call(connection: Connection, path: str, action: Callable[[], Result]) -> Result:
    """Does one call, again and again while the NameNode is away or starting.

    An action may have been done although its answer was lost, so it must look before it acts.

    Args:
        connection: the client that the action uses.
        path: the path it is about, for errors.
        action: the call.

    Raises:
        OSError: as pathlib would raise it: file not found, permission denied, disk quota exceeded.
        HdfsUnreachableError: when the NameNode did not answer in time.
    """
    started, pause = time.monotonic(), _FIRST_PAUSE_SECONDS
    while True:
        try:
            result = action()
            _answered.add(connection.url)
            return result
        except requests.RequestException as error:
            reason: Exception = error
        except HdfsError as error:
            _answered.add(connection.url)
            if error.exception not in _PASSING:
                raise _as_os_error(error, path) from error
            reason = error
        patience = PATIENCE_SECONDS if connection.url in _answered else FIRST_PATIENCE_SECONDS
        if time.monotonic() - started > patience:
            raise HdfsUnreachableError(connection.url, str(reason)) from reason
        time.sleep(pause)  # a back-off: nothing tells when a NameNode is back
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)


def now(connection: Connection) -> float:
    """Returns the NameNode's own time in seconds since 1970, to which leases are held."""
    response: Any = call(connection, "/", lambda: connection._get_file_status("/"))
    return parsedate_to_datetime(response.headers["Date"]).timestamp()


def _as_os_error(error: HdfsError, path: str) -> Exception:
    code = _OS_ERRORS.get(error.exception)
    message = str(error.message).splitlines()[0]
    if code == errno.EACCES and "is not a directory" in message:
        code = errno.ENOTDIR
    if code is None and "could only be written to 0 of the" in message:
        code = errno.ENOSPC  # no DataNode has room
    if code is None:
        return OSError(errno.EIO, f"HDFS: {message}", path)
    return OSError(code, os.strerror(code), path)
