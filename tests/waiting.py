"""How tests wait: for a condition, for what runs beside them and for requests, always with a deadline."""

from __future__ import annotations

import concurrent.futures
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TypeVar

PATIENCE = 180.0  # what takes no second here may take a minute on a busy machine
_PAUSE_SECONDS = 0.02

T = TypeVar("T")


def eventually(condition: Callable[[], T], what: str, patience: float = PATIENCE, pause: float = _PAUSE_SECONDS) -> T:
    """Waits until a condition holds, of another process or thread that tells nobody, and returns its value.

    Args:
        condition: is asked again and again.
        what: the condition in words, for the failure.
        patience: seconds until it must hold.
        pause: seconds between two looks.
    """
    deadline = time.monotonic() + patience
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what}: not within {patience:.0f} s"
        time.sleep(pause)
    return value


@contextmanager
def beside(function: Callable[..., T], *arguments: object, patience: float = PATIENCE) -> Iterator[Future[T]]:
    """Runs a function in a thread beside the block, at whose end it must be done; what it raised is raised there."""
    running: Future[T] = Future()

    def run() -> None:
        try:
            running.set_result(function(*arguments))
        except BaseException as error:
            running.set_exception(error)

    Thread(target=run, daemon=True).start()
    try:
        yield running
    finally:
        running.result(patience)


def is_done(running: Future[T], seconds: float) -> bool:
    """Says whether what runs beside is done within so many seconds."""
    return bool(concurrent.futures.wait([running], seconds).done)


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[ThreadingHTTPServer]:
    """Answers requests on a free port of 127.0.0.1, beside the block."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server, beside(server.serve_forever, 0.01):
        try:
            yield server
        finally:
            server.shutdown()
