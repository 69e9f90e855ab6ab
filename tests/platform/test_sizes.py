"""Sizes, read and shown."""

from __future__ import annotations

import pytest

from spark_apps.platform.sizes import in_words, parse_size

GIB = 1 << 30


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("20GiB", 20 * GIB),
        ("512 MiB", 512 << 20),
        ("12g", 12 * GIB),
        ("1.5G", 3 * GIB // 2),
        ("64K", 64 << 10),
        ("5 B", 5),
        ("7", 7),
        (7, 7),
    ],
)
def test_units_are_binary(text: object, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "g", "-1g", "20 GB", "20GB", "12 apples", "1,5g", 1.5e20, None, True])
def test_other_words_are_no_size(text: object) -> None:
    with pytest.raises(ValueError, match="is not a size: write it as 12g or 20GiB"):
        parse_size(text)


def test_sizes_are_shown_as_people_write_them() -> None:
    shown = [in_words(size) for size in (0, 500, 1 << 10, 3 << 19, 20 * GIB, 20 * GIB + (1 << 29))]
    assert shown == ["0 B", "500 B", "1 KiB", "1.5 MiB", "20 GiB", "20.5 GiB"]
