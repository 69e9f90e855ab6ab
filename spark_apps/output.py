"""Standard output and error take every character, wherever they lead."""

from __future__ import annotations

import io
import os
import sys


def take_every_character() -> None:
    """Keeps a name that the terminal's encoding lacks from ending a command.

    On Windows, what goes to a file or another program is written in UTF-8, as elsewhere and as Python does from 3.15
    on; until then it takes an old encoding of some 200 characters. Whoever set PYTHONIOENCODING gets what it says.
    Elsewhere a character that the encoding lacks is shown by its number. Call it before anything is written.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            _widen(stream)


def _widen(stream: io.TextIOWrapper) -> None:
    if "PYTHONIOENCODING" in os.environ:
        return
    if sys.platform == "win32" and not stream.isatty():
        stream.reconfigure(encoding="utf-8")
    if stream.errors == "strict":
        stream.reconfigure(errors="backslashreplace")
