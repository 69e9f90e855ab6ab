"""Secrets in files: one value each, replaced by rename with owner and mode kept."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from spark_apps.errors import NotWritableError, UserError

_MODE = 0o400


class SecretFileError(UserError):
    """A secret's file that cannot be used."""


def read_secret(path: Path) -> str:
    """Returns the secret in a file, without the line's end.

    Raises:
        SecretFileError: when there is none.
    """
    found = find_secret(path)
    if found is None:
        raise SecretFileError(f"There is no secret in {path}: `shopstream cluster up` makes them; see --secrets.")
    return found


def find_secret(path: Path) -> str | None:
    """Returns the secret in a file, or None where there is no file or nothing in it.

    Raises:
        SecretFileError: when this user may not read it, or it is no text.
    """
    try:
        return path.read_text(encoding="utf-8").strip() or None
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        raise SecretFileError(f"The secret in {path} is no text.") from None
    except OSError as error:
        raise SecretFileError(
            f"The secret {path} cannot be read ({error.strerror}): run the command as its owner."
        ) from None


def write_secret(path: Path, secret: str) -> None:
    """Writes a secret by rename; it is never there in part, nor to be read by others.

    It keeps the owner and mode of the file it replaces; a new one gets its folder's owner and mode 0400.

    Raises:
        NotWritableError: when this user may not write there, or not give the file its owner.
    """
    try:
        _write(path, secret)
    except (PermissionError, FileNotFoundError) as error:
        raise NotWritableError(path.parent) from error


def _write(path: Path, secret: str) -> None:
    old = path.stat() if path.exists() else None
    mode = old.st_mode & 0o777 if old else _MODE
    owner = old or path.parent.stat()
    # made with mode 0600, so nobody else reads it while it gets its owner
    number, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    draft = Path(name)
    try:
        with os.fdopen(number, "w", encoding="utf-8", newline="\n") as stream:
            stream.write(secret + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        if (owner.st_uid, owner.st_gid) != (draft.stat().st_uid, draft.stat().st_gid):
            os.chown(draft, owner.st_uid, owner.st_gid)
        draft.chmod(mode)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
