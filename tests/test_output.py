"""Names of all alphabets can be told, whatever the encoding of what standard output leads to."""

from __future__ import annotations

import io
import sys

import pytest

from spark_apps.output import take_every_character


class Redirected(io.TextIOWrapper):
    """Standard output or error that leads to a file, in an encoding of 256 characters."""

    def __init__(self, errors: str = "strict") -> None:
        self.file = io.BytesIO()
        super().__init__(self.file, encoding="cp1252", errors=errors, newline="\n")


def told(monkeypatch: pytest.MonkeyPatch, platform: str) -> bytes:
    """Returns what a file holds after a message with characters that its encoding lacks."""
    out, error = Redirected(), Redirected("backslashreplace")
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", error)
    take_every_character()
    print("✓ Лада", flush=True)
    print("✓ Лада", file=sys.stderr, flush=True)
    assert out.file.getvalue() == error.file.getvalue()
    return out.file.getvalue()


def test_files_and_pipes_get_utf_8_on_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONIOENCODING", raising=False)
    assert told(monkeypatch, "win32") == "✓ Лада\n".encode()


def test_elsewhere_a_character_that_the_encoding_lacks_is_told_by_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONIOENCODING", raising=False)
    assert told(monkeypatch, "linux") == b"\\u2713 \\u041b\\u0430\\u0434\\u0430\n"


def test_who_sets_the_encoding_gets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "cp1252")
    with pytest.raises(UnicodeEncodeError):
        told(monkeypatch, "win32")
