"""One InfluxDB 2 server, called over its HTTP API, with errors that say what to do."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable, Iterator
from typing import Any

import requests

from spark_apps.errors import UserError

_TIMEOUT_SECONDS = (5, 30)
_PAUSE_SECONDS = 0.5
_FLUX = "application/vnd.flux"


class InfluxAwayError(UserError):
    """InfluxDB did not answer."""


class InfluxRefusedError(UserError):
    """InfluxDB answered and did not do it."""


class Influx:
    """An InfluxDB 2 server as the holder of one token sees it."""

    def __init__(self, url: str, token: str | None = None) -> None:
        """Notes where to connect; the first call connects.

        Args:
            url: as http://127.0.0.1:8086.
            token: None for what needs none.
        """
        self.url, self.token = url.rstrip("/"), token
        self._session = requests.Session()
        self._session.trust_env = False  # a token must not go to a proxy, nor be replaced by what ~/.netrc says
        if token:
            self._session.headers["Authorization"] = f"Token {token}"

    def ask(self, method: str, path: str, **request: Any) -> requests.Response:
        """Does one call, whatever its answer.

        Args:
            method: GET, POST, PATCH or DELETE.
            path: below the URL, as /api/v2/orgs.
            request: what `requests` takes: params, json, data, headers.

        Raises:
            InfluxAwayError: when nothing answers.
        """
        try:
            return self._session.request(method, f"{self.url}{path}", timeout=_TIMEOUT_SECONDS, **request)
        except requests.RequestException as error:
            raise InfluxAwayError(
                f"InfluxDB does not answer at {self.url} ({_why(error)}): see `shopstream cluster status`, and --url."
            ) from error

    def call(self, method: str, path: str, **request: Any) -> Any:
        """Does one call that must succeed, and returns the JSON of its answer, None where it has none.

        Raises:
            InfluxRefusedError: with what InfluxDB said.
        """
        answer = self.ask(method, path, **request)
        if not answer.ok:
            raise InfluxRefusedError(f"InfluxDB at {self.url} refuses {method} {path}: {self.said(answer)}")
        return self.json(answer) if answer.content else None

    def query(self, org: str, flux: str) -> list[dict[str, str]]:
        """Asks a Flux query and returns its rows, of all its tables; all values are texts.

        Raises:
            InfluxRefusedError: with what InfluxDB said.
        """
        headers = {"Content-Type": _FLUX, "Accept": "application/csv"}
        answer = self.ask("POST", "/api/v2/query", params={"org": org}, data=flux.encode(), headers=headers)
        rows = list(_rows(answer.text)) if answer.ok else []
        # a fault after the answer has begun is a table of its own
        fault = next((row["error"] for row in rows if "error" in row), None if answer.ok else self.said(answer))
        if fault is not None:
            raise InfluxRefusedError(f"InfluxDB at {self.url} refuses a query: {fault}")
        return rows

    def json(self, answer: requests.Response) -> Any:
        """Returns an answer's JSON.

        Raises:
            InfluxAwayError: when it is none, so that it is another server's.
        """
        try:
            return answer.json()
        except ValueError:
            raise InfluxAwayError(f"What answers at {self.url} is no InfluxDB 2: see --url.") from None

    def said(self, answer: requests.Response) -> str:
        """Returns the message of an answer that is an error."""
        try:
            return str(answer.json()["message"])[:300]
        except (ValueError, LookupError, TypeError):
            return f"HTTP {answer.status_code}"

    def await_ready(self, wait: float) -> None:
        """Waits until the server can be used.

        Args:
            wait: seconds at most.

        Raises:
            InfluxAwayError: when it was not in that time.
        """
        deadline = time.monotonic() + wait
        while True:
            try:
                answer = self.ask("GET", "/health")
                if answer.ok or answer.status_code < 500:
                    return
                reason: InfluxAwayError | None = None
            except InfluxAwayError as error:
                reason = error
            if time.monotonic() >= deadline:
                raise reason or InfluxAwayError(f"InfluxDB at {self.url} is not ready: see its log.")
            time.sleep(_PAUSE_SECONDS)  # nothing tells when it is ready

    def may_write(self, org: str, bucket: str) -> bool:
        """Says whether the token lets points into a bucket; writes none."""
        target = {"org": org, "bucket": bucket}
        return self._may(lambda: self.ask("POST", "/api/v2/write", params=target, data=b"# no points"))

    def may_read(self, org: str, bucket: str) -> bool:
        """Says whether the token lets points out of a bucket."""
        flux = f'from(bucket: "{bucket}") |> range(start: -1s) |> limit(n: 1)'
        headers = {"Content-Type": _FLUX}
        return self._may(lambda: self.ask("POST", "/api/v2/query", params={"org": org}, data=flux, headers=headers))

    def sees(self, kind: str) -> list[str]:
        """Returns the names of the things of a kind, such as buckets, that the token shows; none for a bad token."""
        answer = self.ask("GET", f"/api/v2/{kind}", params={"limit": 100})
        if not answer.ok:
            return []
        return [one.get("name") or one["id"] for one in self.json(answer).get(kind, [])]

    def _may(self, action: Callable[[], requests.Response]) -> bool:
        answer = action()
        # InfluxDB hides what a token may not see behind 404
        if answer.ok or answer.status_code in (401, 403, 404):
            return answer.ok
        raise InfluxRefusedError(f"InfluxDB at {self.url} cannot tell what a token may do: {self.said(answer)}")


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


def _why(error: requests.RequestException) -> str:
    known = {
        requests.ConnectTimeout: "no connection in time",
        requests.ReadTimeout: "no answer in time",
        requests.exceptions.MissingSchema: "no http:// before it",
        requests.exceptions.InvalidURL: "no address",
        requests.exceptions.InvalidSchema: "no http:// before it",
        requests.ConnectionError: "connection refused or host unknown",
    }
    return next((text for kind, text in known.items() if isinstance(error, kind)), type(error).__name__)
