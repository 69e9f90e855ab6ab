"""Files of synthetic events: the same bytes from the same seed, complete or not there, small in memory."""

from __future__ import annotations

import gzip
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from spark_apps.generator import GeneratorSpec, event_batches, write_events
from spark_apps.generator.csv_writer import write_csv
from tests.waiting import eventually

REPOSITORY = Path(__file__).resolve().parents[2]
HEADER = b"event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session\n"
SMALL = GeneratorSpec(20_000, "2019-10", seed=5)


def sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_in_another_process(arguments: str, target: Path, **environment: str) -> subprocess.Popen[bytes]:
    code = (
        "import sys; from pathlib import Path; from spark_apps.generator import GeneratorSpec, write_events\n"
        f"write_events(GeneratorSpec({arguments}), Path(sys.argv[1]))"
    )
    command = [sys.executable, "-W", "ignore", "-c", code, str(target)]
    return subprocess.Popen(command, cwd=REPOSITORY, env=os.environ | environment)


def test_the_same_seed_writes_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    assert write_events(SMALL, tmp_path / "a.csv") == 20_000
    write_events(SMALL, tmp_path / "b.csv")
    write_events(GeneratorSpec(20_000, "2019-10", seed=6), tmp_path / "c.csv")
    assert sha(tmp_path / "a.csv") == sha(tmp_path / "b.csv") != sha(tmp_path / "c.csv")


def test_another_process_on_a_plainer_processor_writes_the_same_bytes(tmp_path: Path) -> None:
    plain = {"NPY_DISABLE_CPU_FEATURES": "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL AVX2 FMA3"}
    other = write_in_another_process("20_000, '2019-10', 5", tmp_path / "b.csv", **plain)
    write_events(SMALL, tmp_path / "a.csv")
    assert other.wait(60) == 0
    assert sha(tmp_path / "a.csv") == sha(tmp_path / "b.csv")


def test_a_packed_file_holds_the_same_text_and_is_the_same_every_time(tmp_path: Path) -> None:
    write_events(SMALL, tmp_path / "plain.csv")
    write_events(SMALL, tmp_path / "one.csv.gz")
    write_events(SMALL, tmp_path / "two.csv.gz")
    assert sha(tmp_path / "one.csv.gz") == sha(tmp_path / "two.csv.gz")
    flags_and_time = (tmp_path / "one.csv.gz").read_bytes()[3:8]
    assert flags_and_time == bytes(5)
    assert gzip.decompress((tmp_path / "one.csv.gz").read_bytes()) == (tmp_path / "plain.csv").read_bytes()


def test_the_file_is_the_batches_below_the_header(tmp_path: Path) -> None:
    write_events(SMALL, tmp_path / "a.csv")
    lines = (tmp_path / "a.csv").read_bytes().splitlines(keepends=True)
    assert lines[0] == HEADER
    rows = [row for batch in event_batches(SMALL) for row in zip(*batch.to_pydict().values(), strict=True)]
    wanted = [",".join("" if value is None else str(value) for value in row) + "\n" for row in rows]
    assert [line.decode() for line in lines[1:]] == wanted


def test_progress_rises_to_the_number_of_events(tmp_path: Path) -> None:
    seen: list[int] = []
    write_events(GeneratorSpec(450_000, "2019-10", seed=5), tmp_path / "a.csv", seen.append)
    assert seen == sorted(set(seen))
    assert len(seen) > 1
    assert seen[-1] == 450_000


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_failed_write_leaves_what_was_there(tmp_path: Path, name: str, error: type[BaseException]) -> None:
    (tmp_path / name).write_text("before")

    def fail(_rows: int) -> None:
        raise error

    with pytest.raises(error):
        write_events(SMALL, tmp_path / name, fail)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "before"


def test_a_killed_write_leaves_no_target(tmp_path: Path) -> None:
    target, part = tmp_path / "a.csv", tmp_path / "a.csv.part"
    writer = write_in_another_process("500_000_000, '2019-10', 5", target)
    try:
        eventually(lambda: part.exists() and part.stat().st_size > 1_000_000, "a part is written")
    finally:
        writer.kill()
        writer.wait()
    assert not target.exists()


def test_a_value_that_would_need_quotes_is_refused(tmp_path: Path) -> None:
    import pyarrow as pa

    with pytest.raises(pa.ArrowInvalid):
        write_csv([pa.table({"brand": ["a,b"]})], ["brand"], tmp_path / "a.csv")
    assert list(tmp_path.iterdir()) == []


def test_memory_does_not_grow_with_the_events() -> None:
    """Ten times the events take no more than 150 MB more; held in one table they would take 500."""
    code = (
        "import resource, sys; from spark_apps.generator import GeneratorSpec, event_batches\n"
        "def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "def run(events): return sum(b.num_rows for b in event_batches(GeneratorSpec(events, '2019-10', 5)))\n"
        "run(200_000); before = peak(); run(2_000_000); print(peak() - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, check=True)
    kilobytes = int(done.stdout) // (1024 if sys.platform == "darwin" else 1)
    assert kilobytes < 150_000
