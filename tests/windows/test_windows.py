r"""Commands on Windows' own Python, with a root of C:\shop data: its tables and figures equal Linux's.

What this cannot show stands in docs/windows.md.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from spark_apps.generator import GeneratorSpec, write_events
from spark_apps.tables import DONE, STREAM_QUARANTINE, STREAM_TABLES
from tests.factory import HEADER, csv_line, write_log
from tests.windows import machine
from tests.windows.roots import Root, differences

REPOSITORY = Path(__file__).resolve().parents[2]
ROOT = r"C:\shop data"
# preparing Windows and the commands in Wine take long on a busy machine
pytestmark = pytest.mark.timeout(3600)
# of the long form; lists for the evaluation are worth a process a core then
EVENTS = 220_000
FILES, EVENTS_OF_A_FILE = 10, 1_000
KILLS = 4
# what parsers may disagree on, and what a text file may do to lines
ODD_LINES: list[bytes] = [
    line if isinstance(line, bytes) else line.encode()
    for line in (
        csv_line(price="free"),
        csv_line(price="1d"),
        csv_line(price="-1.0"),
        csv_line(price="1e3"),
        csv_line(price="\u0661\u0662"),
        csv_line(event_type="look"),
        csv_line(event_time="2019-10-05 24:00:00 UTC"),
        csv_line(event_time="2019-10-32 00:00:00 UTC"),
        csv_line(event_time="soon"),
        csv_line(user_id="99999999999999999999"),
        csv_line(product_id="1.5"),
        csv_line(brand="Лада", category_code="auto.легковые"),
        csv_line(brand='a "quoted", brand'),
        csv_line(brand="line\u2028separator"),
        csv_line(user_session=""),
        csv_line() + ",a tenth column",
        csv_line() + "\r",
        csv_line(user_id=502).replace("samsung", "Samsung") + "\x1a",
        "no event",
        "",
        csv_line().encode().replace(b"samsung", b"sam\xff\xfesung"),
        csv_line().encode().replace(b"samsung", b"sam\0sung"),
    )
]


@dataclass(frozen=True)
class Shops:
    r"""Two roots for the same commands.

    Attributes:
        folder: C:\shared on Windows; what is put there both can read.
        linux: the root on Linux; that on Windows is ROOT.
    """

    folder: Path
    linux: Path

    @property
    def windows(self) -> Path:
        """The root on Windows, as Linux sees it."""
        return self.folder / "shop data"

    def both(self, command: str, *arguments: object, shared: Path | None = None) -> None:
        """Runs a command on both, each with its own root.

        Args:
            command: its name.
            arguments: what else it is given.
            shared: a file in `folder` that is given too.
        """
        given = ([], []) if shared is None else ([shared], [f"C:\\shared\\{shared.name}"])
        words = [sys.executable, "-m", "spark_apps", command, *arguments, *given[0], "--root", self.linux]
        _succeeded(subprocess.run([str(word) for word in words], cwd=REPOSITORY, **_CAPTURED))
        self.on_windows(command, *arguments, *given[1])

    def on_windows(self, command: str, *arguments: object) -> str:
        """Runs a command on Windows and returns what it printed."""
        return self.python("-m", "spark_apps", command, *arguments, "--root", ROOT)

    def python(self, *arguments: object) -> str:
        """Runs Windows' Python and returns what it printed."""
        return _succeeded(machine.run(self.folder, *arguments))

    def differences(self) -> list[str]:
        """What differs between the two roots; texts on Windows have no line ends of Windows."""
        changed = [str(path) for path in Root(self.windows).texts() if b"\r\n" in path.read_bytes()]
        return differences(Root(self.linux), Root(self.windows)) + [f"{path} has CRLF" for path in changed]


_CAPTURED = {"capture_output": True, "encoding": "utf-8", "check": False, "stdin": subprocess.DEVNULL}


def _succeeded(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def shops_of(folder: Path, events: int) -> Shops:
    """Lands generated events of October and odd lines on both."""
    (folder / "shared" / "shop data").mkdir(parents=True)
    shops = Shops(folder / "shared", folder / "linux" / "shop data")
    october, odd = (shops.folder / name for name in ("2019-Oct.csv", "odd lines.csv"))
    write_events(GeneratorSpec(events, "2019-10", 5), october)
    odd.write_bytes(b"\n".join([HEADER.encode(), *ODD_LINES]) + b"\n")
    for file in (october, odd):
        shops.both("load", shared=file)
    return shops


@pytest.fixture(scope="module")
def shops(tmp_path_factory: pytest.TempPathFactory) -> Shops:
    """Both after load, clean, analyze and train."""
    shops = shops_of(tmp_path_factory.mktemp("windows"), 20_000)
    for command in ("clean", "analyze"):
        shops.both(command)
    shops.both("train", "--force", "--rank", 10)
    return shops


def test_tables_and_figures_equal_linux(shops: Shops) -> None:
    shops.both("recommend", "--all")
    shops.both("report")
    assert (shops.windows / "reports" / "report.html").stat().st_size > 100_000
    found = Root(shops.windows)
    assert {"processed/events", "processed/quarantine", "processed/recommendations"} <= found.tables().keys()
    assert "reports/analysis.json" in found.figures()
    assert shops.differences() == []


def test_a_user_s_list_is_told_in_json(shops: Shops) -> None:
    listed = json.loads(shops.on_windows("recommend", "--user", 501, "--json"))
    assert len({one["product_id"] for one in listed}) == 10


def test_what_a_command_tells_a_file_is_utf_8(shops: Shops) -> None:
    told = machine.run(shops.folder, "-m", "spark_apps", "report", "--root", ROOT)
    assert told.stderr.startswith("✓ Report")


_REPORT_WHILE_IT_IS_OPEN = r"""
import subprocess, sys
command = [sys.executable, "-m", "spark_apps", "report", "--root", r"C:\shop data"]
with open(r"C:\shop data\reports\report.html", "rb"):
    done = subprocess.run(command, stderr=subprocess.PIPE)
print(done.returncode, done.stderr.decode().splitlines()[-1], subprocess.run(command).returncode, sep="|")
"""


def test_a_page_that_a_program_has_open_is_told_and_replaced_once_it_is_closed(shops: Shops) -> None:
    code, told, then = shops.python("-c", _REPORT_WHILE_IT_IS_OPEN).splitlines()[-1].split("|")
    assert (code, then) == ("2", "0")
    assert told.startswith("Error: Windows does not let ") and "report.html" in told


@pytest.mark.long
def test_a_root_with_the_characters_of_patterns_and_of_another_alphabet(tmp_path: Path) -> None:
    shops = Shops(tmp_path, tmp_path / "linux")
    log = write_log(tmp_path / "log.csv", [csv_line(user_id=500 + n % 7, product_id=n % 11) for n in range(300)])
    root = "[1] 50%20 it's Лада"
    for command, given in (("load", [log]), ("clean", []), ("analyze", [])):
        words = [sys.executable, "-m", "spark_apps", command, *map(str, given), "--root", str(shops.linux)]
        _succeeded(subprocess.run(words, cwd=REPOSITORY, **_CAPTURED))
        there = [f"C:\\shared\\{path.name}" for path in given]
        shops.python("-m", "spark_apps", command, *there, "--root", f"C:\\shared\\{root}")
    assert differences(Root(shops.linux), Root(tmp_path / root)) == []


@pytest.mark.parametrize("root", [r"C:\a?b", r"C:\con", r"C:\shared\a:b", r"D:\shop"])
@pytest.mark.long
def test_a_root_that_windows_takes_for_no_folder_is_refused(tmp_path: Path, root: str) -> None:
    write_log(tmp_path / "log.csv", [csv_line()])
    done = machine.run(tmp_path, "-m", "spark_apps", "load", r"C:\shared\log.csv", "--root", root)
    assert done.returncode == 2
    assert done.stderr.startswith(f"Error: --root {root}: ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log.csv", "shop data"]


@pytest.mark.long
def test_a_larger_shop_and_a_stream_of_ten_files_equal_linux(tmp_path: Path) -> None:
    shops = shops_of(tmp_path, EVENTS)
    november = shops.folder / "2019-Nov.csv"
    write_events(GeneratorSpec(FILES * EVENTS_OF_A_FILE, "2019-11", 6), november)
    for command in (["clean"], ["analyze"], ["train", "--force"], ["evaluate"]):
        shops.both(*command)
    shops.both("load", shared=november)
    shops.both("simulate", "--events", EVENTS_OF_A_FILE, "--speed", "max", "--ahead", FILES)
    for command in (["stream", "--once"], ["check"], ["report"]):
        shops.both(*command)
    assert len(list((shops.windows / DONE).iterdir())) == FILES
    assert {table.path for table in STREAM_TABLES} - {STREAM_QUARANTINE.path} <= Root(shops.windows).tables().keys()
    assert shops.differences() == []


@pytest.mark.long
def test_kills_are_not_noticed(tmp_path: Path) -> None:
    told = Shops(tmp_path, tmp_path).python("-m", "bench.kills", "--kills", KILLS, "--events", 4_000, "--keep", ROOT)
    print(told)
    assert told.count(f"{KILLS} kills") == 3 and told.count("equal to") == 3
