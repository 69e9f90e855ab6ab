"""Sizes of memory and files in binary units, as people write them for Docker, Java and Spark: 12g, 512m, 20 GiB."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, ByteSize, TypeAdapter

# 20GB is refused: it means 20 * 1000^3 bytes to some, 20 * 1024^3 to others
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?(?:([kmgt])(?:ib)?|b)?", re.IGNORECASE)

_BYTE_SIZE = TypeAdapter(ByteSize)


def parse_size(value: object) -> int:
    """Returns the bytes of a size such as 12g, 1.5G, 800m, 20 GiB or 12884901888.

    Raises:
        ValueError: when it is no size.
    """
    found = _SIZE.fullmatch(str(value).strip())
    if found is None:
        raise ValueError(f"{value!r} is not a size: write it as 12g or 20GiB")
    return int(_BYTE_SIZE.validate_python(f"{found[1]}{found[2]}iB" if found[2] else found[1]))


Size = Annotated[int, BeforeValidator(parse_size)]


def in_words(size: int) -> str:
    """Returns a size for people, without a fraction where it is a whole number of its unit: 20 GiB, 1.5 MiB."""
    return ByteSize(size).human_readable(separator=" ").replace(".0 ", " ")
