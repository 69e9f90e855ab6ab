"""Which of the loaded files somebody means, and of which dates several files hold rows (SPEC D2)."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from spark_apps.errors import NothingToDoError, UserError
from spark_apps.ingestion.manifests import Manifest
from spark_apps.tables import partition_date

_SHA_PREFIX = re.compile(r"[0-9a-f]{6,64}")
_SHOWN_SHA = 12
# dates or files that a sentence names
_NAMED = 3


@dataclass(frozen=True)
class SharedDate:
    """A date of which a file that was loaded before holds rows too.

    Attributes:
        day: the date; None for rows without a readable one.
        other: the file that was loaded before.
        rows: rows of that date in it.
    """

    day: date | None
    other: Manifest
    rows: int


def shared_dates(manifest: Manifest, before: Iterable[Manifest]) -> list[SharedDate]:
    """Returns the dates of a file that hold rows of files loaded before, in order, undated rows last.

    Args:
        manifest: the file.
        before: the other files.
    """
    others = [other for other in before if other.sha256 != manifest.sha256]
    return [
        SharedDate(partition_date(key), other, other.rows_per_date[key])
        for key in sorted(manifest.rows_per_date)
        for other in others
        if key in other.rows_per_date
    ]


def shared_sentence(manifest: Manifest, shared: Sequence[SharedDate]) -> str:
    """Says that dates of a file hold rows of other files already, and how to take one out.

    Args:
        manifest: the file.
        shared: from `shared_dates`, at least one.
    """
    others = {one.other.sha256: one.other for one in shared}
    names = {sha: _called(other, other.file == manifest.file or _names(others.values(), other.file) > 1)
             for sha, other in others.items()}  # fmt: skip
    dates = listed(
        [f"{one.day or 'no date'}: {rows_in_words(one.rows)} of {names[one.other.sha256]}" for one in shared], "; "
    )
    first = next(iter(others.values()))
    argument = first.sha256[:_SHOWN_SHA] if names[first.sha256] != first.file else shlex.quote(first.file)
    return (
        f"{manifest.file} has dates that hold rows of other files already ({dates}), and all are counted: "
        f"if they are the same rows, take one file out, as with `shopstream unload {argument}`."
    )


def _names(manifests: Iterable[Manifest], name: str) -> int:
    return sum(manifest.file == name for manifest in manifests)


def rows_in_words(number: int) -> str:
    """Returns a number of rows with its noun."""
    return "1 row" if number == 1 else f"{number:,} rows"


def _called(manifest: Manifest, is_ambiguous: bool) -> str:
    return f"{manifest.file} ({manifest.sha256[:_SHOWN_SHA]})" if is_ambiguous else manifest.file


def listed(texts: Sequence[str], separator: str = ", ") -> str:
    """Returns the first few texts in one line, and how many more there are."""
    more = len(texts) - _NAMED
    return separator.join([*texts[:_NAMED], *([f"and {more:,} more"] if more > 0 else [])])


def loaded_file(manifests: Sequence[Manifest], given: str, name: str, content: str | None) -> Manifest:
    """Returns the loaded file that somebody means.

    Args:
        manifests: of all loaded files.
        given: what was typed: a name, a path or the beginning of a SHA-256.
        name: the file's name in it, without folders.
        content: SHA-256 of the file that the path leads to, where that alone is meant.

    Raises:
        UserError: naming what is loaded where it is none of that, or the files that it may be where there are several.
    """
    found = [one for one in manifests if (one.sha256 == content if content else one.file == name)]
    if not found and not content and _SHA_PREFIX.fullmatch(given.lower()):
        found = [one for one in manifests if one.sha256.startswith(given.lower())]
    if len(found) == 1:
        return found[0]
    if found:
        several = " and ".join(
            f"{_called(one, True)}, {rows_in_words(one.rows)}, loaded {one.landed_at}" for one in found
        )
        raise UserError(
            f"{given} may be {several}: name one by its SHA-256, as `unload {found[0].sha256[:_SHOWN_SHA]}`."
        )
    raise NothingToDoError(_not_loaded(manifests, given, content))


def _not_loaded(manifests: Sequence[Manifest], given: str, content: str | None) -> str:
    if not manifests:
        return f"{given} is not loaded, and no other file is."
    what = f"The content of {given} is not loaded" if content else f"{given} is not loaded"
    files = listed([_called(one, True) for one in manifests])
    return f"{what}: name one of {files}, by its name or SHA-256; `shopstream unload` lists all."
