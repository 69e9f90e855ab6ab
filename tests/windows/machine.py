"""Windows' own Python on a Linux machine, in Wine, with the locked packages for Windows.

    python -m tests.windows.machine [prepare]
    python -m tests.windows.machine run FOLDER ARGUMENT...

`prepare` makes what is missing below ~/.cache/shopstream/windows, once for all clones: three minutes and 3 GB. `run`
starts python.exe with arguments; this repository is its Z:\\project, FOLDER its C:\\shared, and `shop data` in that
its C:\\shop data.
Needs Linux, root (for chroot and mounts, which are the process's own), Maven, and Debian's mirror or a copy of it in
DEBIAN_MIRROR. Nothing outside the cache is changed but for the package debootstrap, which is installed where it is
missing.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock
from packaging.markers import Marker

REPOSITORY = Path(__file__).resolve().parents[2]
CACHE = Path.home() / ".cache" / "shopstream" / "windows"
MIRROR = os.environ.get("DEBIAN_MIRROR", "http://deb.debian.org/debian")

# Debian 12's Wine 8 is too old: NumPy and pydantic-core do not load in it
SUITE = "trixie"
WINE = "wine-10"
PYTHON = "3.11.3"
PYTHON_ARTIFACT = f"org.bytedeco:cpython:{PYTHON}-1.5.9:jar:windows-x86_64"
PYTHON_SHA256 = "3263a50b256447bb7b9e604d6587627e419891370fc33b94469e6a06ff4de834"
PYTHON_FOLDER = "org/bytedeco/cpython/windows-x86_64/"
# from 2.2 on NumPy calls a function of ucrtbase that Wine 10 lacks
NUMPY = "numpy==2.0.2 --hash=sha256:286cd40ce2b7d652a6f22efdfc6d1edf879440e53e76a75955bc0c826c7e64dc"
# of these there is nothing but source, all of it in Python: the one that is installed here will do
PURE_SOURCE = ("hdfs", "docopt")
WINDOWS = {
    "sys_platform": "win32",
    "platform_system": "Windows",
    "platform_machine": "AMD64",
    "os_name": "nt",
    "python_version": PYTHON.rpartition(".")[0],
    "python_full_version": PYTHON,
    "implementation_name": "cpython",
    "platform_python_implementation": "CPython",
}

# the mounts end with the process that made them: they are in a namespace of its own
_INSIDE = """
set -e
cd "$1"
mount -t tmpfs tmpfs tmp
mount -t proc proc proc
mount --rbind /dev dev
mount --rbind /sys sys
mount --bind "$2" project
mount -o remount,bind,ro project
mount --bind "$3" windows
mount --bind "$4" root/.wine/drive_c/shared
mkdir -p "$4/shop data"
mount --bind "$4/shop data" "root/.wine/drive_c/shop data"
shift 4
exec chroot . "$@"
"""
_ENVIRONMENT = {
    "HOME": "/root",
    "USER": "root",
    "PATH": "/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "WINEDEBUG": "-all",
    "XDG_RUNTIME_DIR": "/tmp",
    # compiled modules of this repository would tell other paths than Linux's
    "PYTHONPYCACHEPREFIX": r"Z:\windows\compiled",
}


class MachineError(Exception):
    """Something that whoever runs this can see to."""


def missing() -> str | None:
    """Returns what this machine lacks for it; None where it has everything."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "Windows' Python runs in a chroot with mounts of its own here: that takes Linux and root"
    lacking = [name for name in ("mvn", "unshare") if shutil.which(name) is None]
    return f"install {' and '.join(lacking)}" if lacking else None


def prepare() -> None:
    """Makes what is missing in the cache.

    Raises:
        MachineError: when a step fails, or this machine cannot do it.
    """
    reason = missing()
    if reason is not None:
        raise MachineError(f"{reason}.")
    CACHE.mkdir(parents=True, exist_ok=True)
    with FileLock(CACHE / "prepare.lock"):
        for folder, make in ((CACHE / WINE, _make_wine), (_python(), _make_python), (_packages(), _make_packages)):
            if not folder.is_dir():
                with _draft() as draft:
                    make(draft)
                    draft.rename(folder)


def command(folder: Path, *arguments: object) -> list[str]:
    """Returns what runs Windows' Python.

    Args:
        folder: C:\\shared there.
        arguments: of python.exe.
    """
    paths = ";".join(("Z:\\project", f"Z:\\windows\\{_packages().name}"))
    settings = [f"{name}={value}" for name, value in {**_ENVIRONMENT, "PYTHONPATH": paths}.items()]
    # all that it starts ends with it: Wine's server is in its namespace of processes
    apart = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", _INSIDE, "sh"]
    places = [CACHE / WINE, REPOSITORY, CACHE, folder]
    started = ["env", "-i", *settings, "wine", f"/windows/{_python().name}/python.exe", *arguments]
    return [*apart, *map(str, places), *map(str, started)]


def run(folder: Path, *arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Runs Windows' Python to its end; what it prints is in the result.

    Args:
        folder: C:\\shared there.
        arguments: of python.exe.
        options: of subprocess.run.
    """
    asked: dict[str, Any] = {"capture_output": True, "encoding": "utf-8", "errors": "replace", "check": False}
    return subprocess.run(command(folder, *arguments), stdin=subprocess.DEVNULL, **{**asked, **options})


def _python() -> Path:
    return CACHE / f"python-{PYTHON}"


def _packages() -> Path:
    """Where the packages of this state of the lock file are."""
    return CACHE / f"packages-{hashlib.sha256(_requirements().encode()).hexdigest()[:16]}"


def _requirements() -> str:
    """The lock file as it is to be installed for Windows: one line a package, with its hashes."""
    text = (REPOSITORY / "requirements.lock").read_text(encoding="utf-8").replace("\\\n", " ")
    return "\n".join(line for line in map(_for_windows, text.splitlines()) if line is not None) + "\n"


def _for_windows(line: str) -> str | None:
    """A line of the lock file; None where Windows' Python does without it."""
    asked, _, hashes = line.partition(" --hash=")
    pinned, _, marker = asked.partition(" ; ")
    name = pinned.partition("==")[0].strip()
    if not hashes or name in PURE_SOURCE or (marker and not Marker(marker).evaluate(dict(WINDOWS))):
        return None
    return NUMPY if name == "numpy" else f"{pinned.strip()} --hash={' '.join(hashes.split())}"


def _make_wine(draft: Path) -> None:
    _say(f"Wine of Debian's {SUITE}: two minutes")
    if shutil.which("debootstrap") is None:
        _do("apt-get", "install", "--yes", "--no-install-recommends", "debootstrap")
    _do("debootstrap", "--variant=minbase", SUITE, draft, MIRROR)
    _do("chroot", draft, "apt-get", "update")
    install = "DEBIAN_FRONTEND=noninteractive exec apt-get install --yes --no-install-recommends wine64 wine"
    _do("chroot", draft, "sh", "-c", install)
    _do("chroot", draft, "apt-get", "clean")
    for folder in ("project", "windows"):
        (draft / folder).mkdir()
    settings = [f"{name}={value}" for name, value in _ENVIRONMENT.items()]
    # Wine asks the system about processes and devices while it makes its drive C:
    inside = 'cd "$1"; mount -t proc proc proc; mount --rbind /dev dev; shift; exec chroot . "$@"'
    apart = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-e", "-c", inside, "sh", draft]
    _do(*apart, "env", "-i", *settings, "sh", "-c", "wineboot -i && wineserver --wait")
    for name in ("shared", "shop data"):
        (draft / "root" / ".wine" / "drive_c" / name).mkdir()


def _make_python(draft: Path) -> None:
    _say(f"Windows' Python {PYTHON} from Maven Central")
    with tempfile.TemporaryDirectory() as folder:
        _do("mvn", "-q", "-B", "dependency:copy", f"-Dartifact={PYTHON_ARTIFACT}", f"-DoutputDirectory={folder}")
        (jar,) = Path(folder).glob("*.jar")
        if hashlib.sha256(jar.read_bytes()).hexdigest() != PYTHON_SHA256:
            raise MachineError(f"{PYTHON_ARTIFACT} is not the file that it was.")
        with zipfile.ZipFile(jar) as archive:
            archive.extractall(folder, [name for name in archive.namelist() if name.startswith(PYTHON_FOLDER)])
        draft.rmdir()
        shutil.move(Path(folder) / PYTHON_FOLDER, draft)


def _make_packages(draft: Path) -> None:
    _say("packages for Windows, as they are locked but for NumPy: a minute")
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".txt") as listed:
        listed.write(_requirements())
        listed.flush()
        target = ["--platform", "win_amd64", "--python-version", WINDOWS["python_version"], "--implementation", "cp"]
        pip = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--disable-pip-version-check",
            "--no-deps",
            "--only-binary=:all:",
        ]
        _do(*pip, "--require-hashes", *target, "--target", draft, "-r", listed.name)
    for name in PURE_SOURCE:
        found = importlib.util.find_spec(name)
        if found is None or found.origin is None:
            raise MachineError(f"{name} is not installed beside {sys.executable}: run `make setup-dev` first.")
        source = Path(found.origin)
        if source.name == "__init__.py":
            shutil.copytree(source.parent, draft / name)
        else:
            shutil.copyfile(source, draft / source.name)


@contextmanager
def _draft() -> Iterator[Path]:
    """A folder of the cache that goes away unless it is renamed."""
    with tempfile.TemporaryDirectory(prefix="draft-", dir=CACHE, ignore_cleanup_errors=True) as folder:
        draft = Path(folder) / "made"
        draft.mkdir()
        yield draft


def _say(text: str) -> None:
    print(f"Windows: {text}.", file=sys.stderr, flush=True)


def _do(*words: object) -> None:
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)
    if done.returncode:
        told = "\n".join((done.stdout + done.stderr).splitlines()[-20:])
        raise MachineError(f"{told}\n{' '.join(map(str, words[:3]))} ended with {done.returncode}.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit code, 2 after an error."""
    parser = argparse.ArgumentParser(description="Windows' own Python on a Linux machine, in Wine.")
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("prepare", help="make what is missing in the cache")
    runs = commands.add_parser("run", help="start python.exe")
    runs.add_argument("folder", type=Path, help="C:\\shared there")
    runs.add_argument("arguments", nargs=argparse.REMAINDER)
    options = parser.parse_args(arguments)
    try:
        prepare()
    except MachineError as error:
        print(error, file=sys.stderr)
        return 2
    if options.command == "run":
        return subprocess.run(command(options.folder.absolute(), *options.arguments), check=False).returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
