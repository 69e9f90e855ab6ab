"""Landing: the rows of a file, cut by date, are the same bytes in the same order (SPEC D2)."""

from __future__ import annotations

import gzip
import hashlib
import re
import tempfile
import threading
from collections import defaultdict
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from spark_apps.errors import BadInputError
from spark_apps.ingestion import landing
from spark_apps.ingestion.landing import LandedFile, content_sha256, land
from tests.factory import HEADER, csv_line, write_log

Cut = dict[date | None, bytes]


def cut(source: Path, folder: Path) -> tuple[LandedFile, Cut]:
    """Lands a file into a folder and reads back what stands under each date."""
    targets: dict[date | None, Path] = {}

    def target_of(day: date | None) -> Path:
        return targets.setdefault(day, folder / f"date={day}")

    landed = land(source, target_of, lambda position: None)
    return landed, {day: path.read_bytes() for day, path in targets.items()}


def rows_by_date(content: bytes) -> tuple[Cut, dict[date | None, int]]:
    """What landing must give, worked out the plain way: every row looked at."""
    body = content[content.index(b"\n") + 1 :] if b"\n" in content else b""
    rows = re.findall(rb"[^\n]*\n|[^\n]+$", body)
    found: defaultdict[date | None, list[bytes]] = defaultdict(list)
    for row in rows:
        found[date_of(row)].append(row)
    return {day: b"".join(rows) for day, rows in found.items()}, {d: len(rows) for d, rows in found.items()}


def date_of(row: bytes) -> date | None:
    head = re.match(rb'(?:\xef\xbb\xbf)?"?(\d{4})-(\d\d)-(\d\d)', row)
    try:
        return date(*map(int, head.groups())) if head else None
    except ValueError:
        return None


DAYS = [b"2019-10-01", b"2019-10-02", b"2019-10-03", b"2038-01-20", b"2020-02-29"]
HEADS = [*DAYS, *[b'"' + day for day in DAYS], b"2019-02-30", b"0000-01-01", b"2019-10-0", b"\xef\xbb\xbf2019-10-01"]
tails = st.binary(max_size=30).map(lambda text: text.replace(b"\n", b""))
dated = st.builds(bytes.__add__, st.sampled_from(HEADS), tails)
rows_of_a_file = st.lists(st.one_of(st.sampled_from(DAYS[:2]), dated, tails), max_size=40)


@hypothesis_settings(max_examples=300, deadline=None)
@given(
    rows=rows_of_a_file,
    newline=st.sampled_from(["\n", "\r\n"]),
    last_newline=st.booleans(),
    block=st.integers(1, 90),
    open_dates=st.integers(1, 4),
    packed=st.booleans(),
)
@example([b"2019", b"2019-10-01"], "\n", False, 90, 4, False)
@example([b"2019-10-01 a", b"2019"], "\n", False, 90, 4, False)
@example([b"", b"", b"2019-10-01"], "\n", True, 90, 4, False)
@example([b'"2019-10-01"', b'"2019-10-02"'], "\n", True, 90, 4, False)
def test_each_date_gets_exactly_its_rows(
    rows: list[bytes], newline: str, last_newline: bool, block: int, open_dates: int, packed: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(landing, "BLOCK_BYTES", block)
        patch.setattr(landing, "OPEN_DATES", open_dates)
        source = write_log(Path(folder) / "log.csv", rows, newline=newline, last_newline=last_newline)
        content = source.read_bytes()
        if packed:
            source.write_bytes(gzip.compress(content))
        landed, found = cut(source, Path(folder) / "cut")
        expected, counts = rows_by_date(content)
    assert found == expected
    assert landed.rows_per_date == counts
    assert landed.rows == sum(counts.values())
    assert landed.sha256 == hashlib.sha256(content).hexdigest()


def test_a_file_of_many_days_in_turn_keeps_few_files_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    days = [date(2019, 10, 1) + timedelta(n) for n in range(landing.OPEN_DATES + 10)]
    lines = [csv_line(event_time=str(day), user_id=turn) for turn in range(3) for day in days]
    opened: list[int] = []
    real = landing._DateFiles._open_file

    def watched(files: landing._DateFiles, day: date | None) -> None:
        real(files, day)
        opened.append(len(files._open))

    monkeypatch.setattr(landing._DateFiles, "_open_file", watched)
    landed, found = cut(write_log(tmp_path / "log.csv", lines), tmp_path / "cut")
    assert found == {
        day: b"".join(csv_line(event_time=str(day), user_id=turn).encode() + b"\n" for turn in range(3)) for day in days
    }
    assert landed.rows_per_date == dict.fromkeys(days, 3)
    assert max(opened) == landing.OPEN_DATES


def test_rows_without_a_date_go_to_their_own_bucket(tmp_path: Path) -> None:
    lines = [csv_line(), ",view,1", "", "garbage", HEADER, csv_line(event_time="2019-13-01 00:00:00 UTC")]
    landed, found = cut(write_log(tmp_path / "log.csv", lines), tmp_path / "cut")
    assert landed.rows_per_date == {date(2019, 10, 1): 1, None: 5}
    assert found[None].decode().splitlines() == lines[1:]


def test_gzip_and_plain_are_the_same_content(tmp_path: Path) -> None:
    plain = write_log(tmp_path / "log.csv", [csv_line(user_id=n) for n in range(1000)])
    packed = tmp_path / "named-like-plain.csv"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    first, rows = cut(plain, tmp_path / "plain")
    second, same_rows = cut(packed, tmp_path / "packed")
    assert rows == same_rows
    assert first.sha256 == second.sha256 == content_sha256(plain) == content_sha256(packed)
    assert (first.bytes, second.bytes) == (plain.stat().st_size, packed.stat().st_size)
    assert second.bytes < first.bytes


def test_progress_reaches_the_size_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landing, "BLOCK_BYTES", 1 << 10)
    source = write_log(tmp_path / "log.csv", [csv_line(user_id=n) for n in range(1000)])
    seen: list[int] = []
    land(source, lambda day: tmp_path / f"cut-{day}", seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == source.stat().st_size


@pytest.mark.parametrize("block", [1 << 10, 1 << 20])
def test_a_row_over_the_longest_length_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(landing, "BLOCK_BYTES", block)
    monkeypatch.setattr(landing, "LONGEST_ROW", 1 << 20)
    source = write_log(tmp_path / "log.csv", [csv_line(), "2019-10-01" + "x" * (3 << 20), csv_line()])
    with pytest.raises(BadInputError, match=r"log\.csv holds a row of over 1 MiB: it is not an event log"):
        cut(source, tmp_path / "cut")


@pytest.mark.parametrize("kept", [0.5, 0.99])
def test_a_gzip_file_that_is_cut_short_is_refused(tmp_path: Path, kept: float) -> None:
    lines = [csv_line(user_id=n) for n in range(5000)]
    packed = gzip.compress(write_log(tmp_path / "log.csv", lines).read_bytes())
    short = tmp_path / "log.csv.gz"
    short.write_bytes(packed[: int(len(packed) * kept)])
    with pytest.raises(BadInputError, match=r"log\.csv\.gz cannot be unpacked.*copy or download it again"):
        cut(short, tmp_path / "cut")
    with pytest.raises(BadInputError, match="copy or download it again"):
        content_sha256(short)


def test_a_gzip_file_with_a_changed_byte_is_refused(tmp_path: Path) -> None:
    lines = [csv_line(user_id=n) for n in range(5000)]
    packed = bytearray(gzip.compress(write_log(tmp_path / "log.csv", lines).read_bytes()))
    packed[len(packed) // 2] ^= 0xFF
    damaged = tmp_path / "log.csv.gz"
    damaged.write_bytes(packed)
    with pytest.raises(BadInputError, match="copy or download it again"):
        cut(damaged, tmp_path / "cut")


def test_nothing_reads_on_when_landing_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landing, "BLOCK_BYTES", 64)
    source = write_log(tmp_path / "log.csv", [csv_line()] * 1000)

    def give_up(position: int) -> None:
        raise KeyboardInterrupt

    before = threading.enumerate()
    with pytest.raises(KeyboardInterrupt) as raised:
        land(source, lambda day: tmp_path / "rows", give_up)
    assert threading.enumerate() == before, raised  # which holds what landing held


def test_what_stands_before_a_fault_is_landed_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landing, "BLOCK_BYTES", 64)
    monkeypatch.setattr(landing, "LONGEST_ROW", 1000)
    source = write_log(tmp_path / "log.csv", [*[csv_line()] * 20, "x" * 2000])
    with pytest.raises(BadInputError, match="holds a row of over"):
        land(source, lambda day: tmp_path / "rows", lambda position: None)
    assert (tmp_path / "rows").read_bytes().decode() == f"{csv_line()}\n" * 20
