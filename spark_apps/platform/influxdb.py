"""One InfluxDB 2 server through its own client, with errors that say what to do."""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Callable, Iterator
from typing import Any, Literal, TypeVar

from influxdb_client import Dialect, HealthService, InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.rest import ApiException
from urllib3.exceptions import HTTPError

from spark_apps.errors import UserError
from spark_apps.platform.http import why
from spark_apps.platform.retry import keep_trying

Result = TypeVar("Result")

_TIMEOUT_MILLISECONDS = (5_000, 30_000)  # to connect, to answer
_HIDDEN = (401, 403, 404)  # InfluxDB hides what a token may not see behind 404
_FAULT = 500  # and all above it

# Without a handler its warnings of what it tries again go to standard error; when it gives up, our error says why.
logging.getLogger("influxdb_client").addHandler(logging.NullHandler())


class InfluxAwayError(UserError):
    """InfluxDB did not answer."""


class InfluxRefusedError(UserError):
    """InfluxDB answered and did not do it.

    Attributes:
        status: of its answer, by HTTP.
        said: its reason.
    """

    def __init__(self, sentence: str, status: int = 0, said: str = "") -> None:
        super().__init__(sentence)
        self.status, self.said = status, said


class Influx:
    """An InfluxDB 2 server as the holder of one token sees it."""

    def __init__(self, url: str, token: str | None = None, **options: Any) -> None:
        """Notes where to connect; the first call connects.

        Args:
            url: as http://127.0.0.1:8086.
            token: None for what needs none.
            options: of InfluxDBClient, such as `timeout` and `retries`.
        """
        self.url = url.rstrip("/")
        self.client = InfluxDBClient(self.url, token or "", **{"timeout": _TIMEOUT_MILLISECONDS, **options})

    def do(self, what: str, action: Callable[[], Result]) -> Result:
        """Does one call of the client.

        Args:
            what: it is, for the sentence.
            action: the call.

        Raises:
            InfluxAwayError: when nothing answers, or another server.
            InfluxRefusedError: with what InfluxDB said.
        """
        if not self.url.startswith(("http://", "https://")):  # the client would guess
            raise self._away("no http:// before it")
        try:
            return action()
        except ApiException as error:
            said = (error.message or f"HTTP {error.status}")[:300]
            raise InfluxRefusedError(f"InfluxDB at {self.url} refuses {what}: {said}", error.status, said) from error
        except HTTPError as error:
            raise self._away(why(error)) from error
        except (ValueError, TypeError, AttributeError) as error:  # the client made nothing of the answer
            raise InfluxAwayError(f"What answers at {self.url} is no InfluxDB 2: see --url.") from error

    def await_ready(self, wait: float = 0) -> None:
        """Waits until the server can be used.

        Args:
            wait: seconds at most.

        Raises:
            InfluxAwayError: when it was not in that time.
        """
        keep_trying(self._refuse_unready, lambda error: isinstance(error, InfluxAwayError), lambda: wait)

    def write(self, org: str, bucket: str, lines: bytes, precision: Literal["ns", "s"] = "ns") -> None:
        """Writes points in one request.

        Args:
            org: holds the bucket.
            bucket: its name.
            lines: the points in line protocol.
            precision: of their times, ns or s.

        Raises:
            InfluxAwayError: when nothing answers.
            InfluxRefusedError: with what InfluxDB said.
        """
        write_api = self.client.write_api(write_options=SYNCHRONOUS)
        # WritePrecision is only a list of texts, and no type of them
        self.do("the points", lambda: write_api.write(bucket, org, lines, write_precision=precision))  # type: ignore[arg-type]

    def query(self, org: str, flux: str) -> list[dict[str, str]]:
        """Asks a Flux query and returns its rows, of all its tables; all values are texts.

        The client's own tables would cut times to microseconds.

        Raises:
            InfluxAwayError: when nothing answers.
            InfluxRefusedError: with what InfluxDB said.
        """
        query_api, dialect = self.client.query_api(), Dialect(annotations=[])
        answer = self.do("a query", lambda: query_api.query_raw(flux, org, dialect).data.decode())
        rows = list(_rows(answer))
        # a fault after the answer has begun is a table of its own
        fault = next((row["error"] for row in rows if "error" in row), None)
        if fault is not None:
            raise InfluxRefusedError(f"InfluxDB at {self.url} refuses a query: {fault}")
        return rows

    def may_write(self, org: str, bucket: str) -> bool:
        """Says whether the token lets points into a bucket; writes none."""
        return self._may(lambda: self.write(org, bucket, b"# no points"))

    def may_read(self, org: str, bucket: str) -> bool:
        """Says whether the token lets points out of a bucket."""
        flux = f'from(bucket: "{bucket}") |> range(start: -1s) |> limit(n: 1)'
        return self._may(lambda: self.query(org, flux))

    def _away(self, reason: str) -> InfluxAwayError:
        return InfluxAwayError(
            f"InfluxDB does not answer at {self.url} ({reason}): see `shopstream cluster status`, and --url."
        )

    def _may(self, action: Callable[[], object]) -> bool:
        try:
            action()
        except InfluxRefusedError as error:
            if error.status in _HIDDEN:
                return False
            raise
        return True

    def _refuse_unready(self) -> None:
        try:
            self.do("a look at its health", HealthService(self.client.api_client).get_health)
        except InfluxRefusedError as error:
            if error.status >= _FAULT:
                raise InfluxAwayError(f"InfluxDB at {self.url} is not ready: see its log.") from error
            raise


def _rows(text: str) -> Iterator[dict[str, str]]:
    """Reads InfluxDB's CSV: tables with a head each, and empty lines between."""
    head: list[str] = []
    # it writes every line feed with a carriage return, those of a value too
    for cells in csv.reader(io.StringIO(text.replace("\r\n", "\n"))):
        if not cells:
            head = []
        elif not head:
            head = cells
        else:
            yield dict(zip(head, cells, strict=True))
