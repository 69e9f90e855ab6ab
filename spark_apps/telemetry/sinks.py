"""Where points go: into InfluxDB, or into line-protocol files that can be loaded later (SPEC I1, I4)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Protocol

from influxdb_client.client.write.retry import WritesRetry

from spark_apps.platform.influxdb import Influx, InfluxAwayError, InfluxRefusedError
from spark_apps.settings import Settings
from spark_apps.storage import StoragePath, write_durably
from spark_apps.tables import LINE_PROTOCOL
from spark_apps.telemetry.provision import BUCKET, ORG
from spark_apps.telemetry.token_files import SecretFileError, find_secret

# Files that are kept, the newest: November in batches of 10,000 events makes 6,751 of some 5 KB. Points of earlier
# batches are not lost, the batch log gives them again.
FILES_KEPT = 10_000

_TIMEOUT_MILLISECONDS = (5_000, 10_000)  # to connect, to answer
_TRIES_AGAIN = 3
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.2, 2.0
_NEVER_SECONDS = 10**9
_NOT_A_WRITER = (401, 403, 404)  # InfluxDB hides a bucket that a token may not see behind 404
_PARTLY_WRITTEN = 422
_BUSY = 429  # and all above it
_DROPPED = re.compile(r"dropped[ =](\d+)")


class Sink(Protocol):
    """A place for points. Writing the same again changes nothing."""

    @property
    def name(self) -> str:
        """What it is called where is noted how much it has."""

    def write(self, batch: int, lines: bytes) -> int:
        """Writes the points of a batch.

        Args:
            batch: its number.
            lines: its points in line protocol, times in nanoseconds.

        Returns:
            How many points the sink would not take because they are too old for it; it took all others.

        Raises:
            UserError: when it did not take them for another reason.
        """

    def close(self) -> None:
        """Gives up its connection; the next write makes a new one."""


class InfluxSink:
    """A bucket of an InfluxDB 2. The token is read when a connection is made, so a replaced one is found."""

    def __init__(self, url: str, token_file: Path) -> None:
        """Notes where to connect; the first write connects.

        Args:
            url: as http://127.0.0.1:8086.
            token_file: holds a token that may write into the bucket.
        """
        self.url, self._token_file = url.rstrip("/"), token_file
        self._influx: Influx | None = None

    @property
    def name(self) -> str:
        """The bucket's address."""
        return sink_name(self.url)

    def write(self, batch: int, lines: bytes) -> int:
        """Writes points in one request; an InfluxDB that is busy is asked again, three times.

        Raises:
            InfluxAwayError: when it cannot be reached.
            InfluxRefusedError: when the token may not write, or InfluxDB does not take the points.
            SecretFileError: when there is no token.
        """
        try:
            self._connected().write(ORG, BUCKET, lines)
        except InfluxRefusedError as error:
            return self._refused(error)
        except InfluxAwayError:
            self.close()
            raise
        return 0

    def close(self) -> None:
        """Closes the connection."""
        if self._influx is not None:
            self._influx.client.close()
            self._influx = None

    def _connected(self) -> Influx:
        if self._influx is None:
            retries = WritesRetry(
                total=_TRIES_AGAIN,
                allowed_methods=["POST"],
                connect=0,  # whoever calls waits for one that is away: it knows when to give up
                read=0,
                retry_interval=_FIRST_PAUSE_SECONDS,
                max_retry_delay=_LONGEST_PAUSE_SECONDS,
                max_retry_time=_NEVER_SECONDS,  # it would count from now on, not from a request
                respect_retry_after_header=False,
            )
            influx = Influx(self.url, self._token(), timeout=_TIMEOUT_MILLISECONDS, retries=retries)
            influx.await_ready()  # tells one that is away, and servers that are no InfluxDB
            self._influx = influx
        return self._influx

    def _token(self) -> str:
        token = find_secret(self._token_file)
        if token is None or not (token.isascii() and token.isprintable()):
            raise SecretFileError(
                f"There is no token in {self._token_file}: `shopstream metrics provision` makes a writer's; name its "
                "file by --token-file or SHOPSTREAM_INFLUXDB_TOKEN_FILE."
            )
        return token

    def _refused(self, error: InfluxRefusedError) -> int:
        """Returns how many points were too old, where that is all that InfluxDB had against them."""
        dropped = _DROPPED.search(error.said)
        if error.status == _PARTLY_WRITTEN and "retention policy" in error.said and dropped is not None:
            return int(dropped[1])
        self.close()
        if error.status >= _BUSY:
            raise InfluxAwayError(
                f"InfluxDB at {self.url} cannot take points now (HTTP {error.status}, {error.said}): run the command "
                "again, and see its log."
            ) from error
        if error.status in _NOT_A_WRITER:
            raise InfluxRefusedError(
                f"InfluxDB at {self.url} does not let the token in {self._token_file} write into {ORG}/{BUCKET} "
                f"({error.said}): `shopstream metrics provision` makes a writer's token."
            ) from error
        raise error


def sink_name(url: str) -> str:
    """Returns what the bucket of an InfluxDB is called where is noted how much it has."""
    return f"{url.rstrip('/')}/{ORG}/{BUCKET}"


class FileSink:
    """Line-protocol files below the root, one a batch, by rename: `metrics push` and `influx write` load them."""

    def __init__(self, root: StoragePath) -> None:
        """Names the folder, which the first write makes."""
        self._folder = root / LINE_PROTOCOL

    @property
    def name(self) -> str:
        """The folder."""
        return str(self._folder)

    def write(self, batch: int, lines: bytes) -> int:
        """Writes a batch's file, in the place of an earlier one, and removes the one that has become too many."""
        self._folder.mkdir(parents=True, exist_ok=True)
        write_durably(self._folder / file_name(batch), lines.decode())
        if batch >= FILES_KEPT:
            (self._folder / file_name(batch - FILES_KEPT)).unlink(missing_ok=True)
        return 0

    def close(self) -> None:
        """Has nothing to close."""


def file_name(batch: int) -> str:
    """Returns the name of a batch's line-protocol file."""
    return f"batch-{batch:08d}.lp"


def sink_of(settings: Settings, root: StoragePath) -> Sink:
    """Returns the sink that the settings name: InfluxDB where there is a URL, else files."""
    if settings.influxdb_url:
        return InfluxSink(settings.influxdb_url, settings.influxdb_token_file)
    return FileSink(root)
