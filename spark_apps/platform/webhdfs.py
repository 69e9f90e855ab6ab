"""HDFS over WebHDFS: one client, whose calls outlive a NameNode's restart."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

import requests
from hdfs import HdfsError, InsecureClient
from hdfs.client import _Request  # the package's own way to name an operation of WebHDFS

from spark_apps.errors import HdfsUnreachableError, UserError
from spark_apps.platform.http import server_time, session, why
from spark_apps.platform.retry import keep_trying

Result = TypeVar("Result")

# How long a NameNode may be away or in safe mode before a call gives up; one that never answered this process was
# probably misnamed.
PATIENCE_SECONDS, FIRST_PATIENCE_SECONDS = 180.0, 5.0
_TIMEOUT_SECONDS = (10, 120)
_SAFE_MODE = "SafeModeException"
_PASSING = {"RetriableException", "StandbyException", _SAFE_MODE}

_answered: set[str] = set()


class SafeModeError(UserError):
    """HDFS takes no changes for now."""

    def __init__(self) -> None:
        super().__init__(
            "HDFS is in safe mode and takes no changes: wait until its DataNodes have reported (`shopstream cluster "
            "status`), then run the command again; the commands of `shopstream hdfs` wait themselves with --wait."
        )


class NoNameNodeError(UserError):
    """Another server than a NameNode answers."""

    def __init__(self, url: str) -> None:
        super().__init__(f"What answers at {url} is no NameNode, or wants a login: see --webhdfs.")


class WebHdfs(InsecureClient):  # type: ignore[misc]  # the package has no types
    """One NameNode as one user sees it. Its session is for one thread."""

    # each name is an operation of WebHDFS: SETQUOTA, GETQUOTAUSAGE
    _set_quota = _Request("PUT")
    _get_quota_usage = _Request("GET")

    def __init__(self, url: str, user: str, copies: int | None = None, wait: float | None = None) -> None:
        """Notes where to connect; the first call connects.

        Args:
            url: the NameNode's HTTP address, as http://namenode:9870.
            user: the HDFS user.
            copies: how many copies the blocks of its files have; None leaves it to HDFS, where a DataNode's own
                default is as old as its start.
            wait: seconds that a call waits for a NameNode that is away or in safe mode; None is long for one that
                answered this process before, else short.
        """
        super().__init__(url.rstrip("/"), user=user, timeout=_TIMEOUT_SECONDS, session=session())
        self.user, self.copies, self._wait = user, copies, wait

    @property
    def about(self) -> tuple[str, str, int | None]:
        """What `client` needs to make such a client."""
        return self.url, self.user, self.copies

    def write(self, hdfs_path: str, data: bytes, overwrite: bool = False, append: bool = False) -> None:
        """Writes a file or, with `append`, more of one."""
        copies = None if append else self.copies
        super().write(hdfs_path, data=data, overwrite=overwrite, append=append, replication=copies)

    def attempt(self, action: Callable[[], Result]) -> Result:
        """Does one call, again and again while the NameNode is away or starting.

        Args:
            action: the call. It may have been done although its answer was lost, so it must look before it acts.

        Raises:
            HdfsError: what the NameNode has against it.
            HdfsUnreachableError: when the NameNode did not answer in time.
            SafeModeError: when it is in safe mode for too long.
            NoNameNodeError: when another server answers.
        """
        try:
            result = keep_trying(action, self._is_passing, self._patience)
        except (requests.exceptions.InvalidJSONError, LookupError) as error:
            raise NoNameNodeError(self.url) from error
        except requests.RequestException as error:
            raise HdfsUnreachableError(self.url, why(error)) from error
        except HdfsError as error:
            raise self._in_words(error) from error
        _answered.add(self.url)
        return result

    def now(self) -> float:
        """Returns the NameNode's own time in seconds since 1970, by which files and leases are old."""
        return self.attempt(lambda: server_time(self._get_file_status("/")))

    def _patience(self) -> float:
        if self._wait is not None:
            return self._wait
        return PATIENCE_SECONDS if self.url in _answered else FIRST_PATIENCE_SECONDS

    def _is_passing(self, error: BaseException) -> bool:
        if isinstance(error, HdfsError):
            _answered.add(self.url)
            return error.exception in _PASSING
        is_json = not isinstance(error, requests.exceptions.InvalidJSONError)
        return isinstance(error, requests.RequestException) and is_json

    def _in_words(self, error: HdfsError) -> Exception:
        if error.exception is None:  # the answer was not WebHDFS's
            return NoNameNodeError(self.url)
        if error.exception == _SAFE_MODE:
            return SafeModeError()
        return HdfsUnreachableError(self.url, str(error)) if error.exception in _PASSING else error


@lru_cache(maxsize=8)
def client(url: str, user: str, copies: int | None = None) -> WebHdfs:
    """Returns the client of one NameNode for one user, shared by all paths of it.

    Args:
        url: the NameNode's HTTP address, for example http://namenode:9870.
        user: the HDFS user.
        copies: how many copies the blocks of its files have; None leaves it to HDFS.
    """
    return WebHdfs(url, user, copies)


def own_client(shared: WebHdfs) -> WebHdfs:
    """Returns another client of the same NameNode and user, for another thread."""
    return WebHdfs(*shared.about)
