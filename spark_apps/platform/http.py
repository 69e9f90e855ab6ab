"""HTTP to the cluster's own servers: no proxy between, and errors described in a few words."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import Any

import requests
from urllib3.exceptions import NewConnectionError, ProtocolError, TimeoutError

_SECONDS = (2, 5)
# the first that fits
_REASONS: dict[type[Exception], str] = {
    requests.ConnectTimeout: "no connection in time",
    requests.ReadTimeout: "no answer in time",
    requests.exceptions.InvalidURL: "no address",
    requests.exceptions.MissingSchema: "no http:// before it",
    requests.exceptions.InvalidSchema: "no http:// before it",
    requests.ConnectionError: "connection refused or host unknown",
    NewConnectionError: "connection refused or host unknown",
    TimeoutError: "no answer in time",
    ProtocolError: "the connection broke",
}


class NoAnswerError(Exception):
    """A server did not answer."""


class OtherAnswerError(Exception):
    """What answers is not the server that was asked for."""


def session() -> requests.Session:
    """Returns a session that goes straight to the server, with no secret of ~/.netrc; it is for one thread."""
    made = requests.Session()
    made.trust_env = False
    return made


def why(error: Exception) -> str:
    """Returns why there was no answer: an error of requests or urllib3 in a few words, without objects' addresses."""
    cause = getattr(error, "reason", None) or error
    return next((text for kind, text in _REASONS.items() if isinstance(cause, kind)), type(cause).__name__)


def get(url: str) -> requests.Response | None:
    """Returns a page, whatever its status, or None where nothing answers."""
    try:
        return _page(url)
    except requests.RequestException:
        return None


def get_json(url: str) -> Any:
    """Returns the JSON value of a page.

    Raises:
        NoAnswerError: when nothing answers.
        OtherAnswerError: when the page is missing or no JSON.
    """
    try:
        page = _page(url)
        page.raise_for_status()
        return page.json()
    except (requests.HTTPError, requests.exceptions.InvalidJSONError) as error:
        raise OtherAnswerError(f"{type(error).__name__}: {error}") from error
    except requests.RequestException as error:
        raise NoAnswerError(why(error)) from error


def server_time(page: requests.Response) -> float:
    """Returns the seconds since 1970 by the clock of the server that sent a page, to one second.

    Raises:
        ValueError: when the page does not tell.
    """
    return parsedate_to_datetime(page.headers.get("Date", "")).timestamp()


def _page(url: str) -> requests.Response:
    with session() as once:
        return once.get(url, timeout=_SECONDS)
