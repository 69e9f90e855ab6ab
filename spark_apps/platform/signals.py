"""How work that takes hours is asked to end: by SIGTERM or Ctrl-C, at a moment that suits it."""

from __future__ import annotations

import select
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

# Waits for so many seconds, or until the work is asked to end, and says whether it was.
Wait = Callable[[float], bool]


@contextmanager
def handled(handle: Callable[[int], None], once: bool = False) -> Iterator[None]:
    """Gives SIGTERM and Ctrl-C to a function; in another thread than the main one, which alone gets signals, nothing.

    Args:
        handle: is given the signal's number.
        once: the handlers that were there before come back with the first signal, not only at the end.
    """
    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def answer(number: int, frame: FrameType | None) -> None:
        if once:
            restore()
        handle(number)

    for number in before:
        signal.signal(number, answer)
    try:
        yield
    finally:
        restore()


@contextmanager
def asked_to_end() -> Iterator[Wait]:
    """Turns the first SIGTERM or Ctrl-C into an answer; a second one ends the process at once, as without this.

    In another thread than the main one nobody asks.

    Yields:
        The function that waits. With 0 it only looks.
    """
    if threading.current_thread() is not threading.main_thread():
        yield threading.Event().wait
        return
    # A socket and not threading.Event, whose lock a signal handler would wait for when it interrupts its own holder.
    # Python itself writes to it when a signal comes: on Windows a handler waits until the main thread has waited.
    receiver, sender = socket.socketpair()
    sender.setblocking(False)
    with receiver, sender:
        fd_before = signal.set_wakeup_fd(sender.fileno())
        try:
            with handled(lambda number: None, once=True):
                yield lambda seconds: bool(select.select([receiver], [], [], max(0.0, seconds))[0])
        finally:
            signal.set_wakeup_fd(fd_before)
