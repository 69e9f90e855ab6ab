"""Sets this folder up: a virtual environment with the locked packages and, for Spark, a Java that it can run on.

`make setup` runs it as `python3 -m spark_apps.runtime.bootstrap`. It needs nothing but Python's standard library, and
where nothing is missing it ends at once.
"""

# ruff: noqa: E402 (the version is looked at before anything that an older Python cannot import)

import sys

OLDEST_PYTHON = (3, 10)
if sys.version_info < OLDEST_PYTHON:
    sys.stderr.write(
        f"shopstream needs Python 3.10 or newer, and this is {sys.version_info[0]}.{sys.version_info[1]}: "
        "name a newer one, for example `make setup PYTHON=python3.12`.\n"
    )
    sys.exit(2)

import argparse
import errno
import hashlib
import importlib.util
import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO

from spark_apps.errors import JavaMissingError, UserError
from spark_apps.runtime.java import find_java, install_java

REPOSITORY = Path(__file__).resolve().parents[2]
LOCK = "requirements.lock"
SPARK_LOCK = "requirements-spark.lock"
DEV_LOCK = "requirements-dev.lock"
HOSTS_LOCK = "requirements-hosts.lock"
# each holds what those before it hold, and more: Spark, the tools for tests and checks, Ansible
LOCKS = (LOCK, SPARK_LOCK, DEV_LOCK, HOSTS_LOCK)
BUILD_TOOL = "setuptools"
ONLY_AS_SOURCE = ("pyspark", "docopt", "hdfs")
# What commands import, which imports most of what they use. Pip would compile every module of every package, one after
# the other, four times as many.
USED = (
    "click",
    "filelock",
    "hdfs",
    "implicit.als",
    "influxdb_client",
    "jinja2",
    "optuna",
    "plotly.graph_objs._figure",
    "plotly.graph_objs._layout",
    "plotly.offline",
    "pyarrow.acero",
    "pyarrow.csv",
    "pyarrow.dataset",
    "pyarrow.parquet",
    "pydantic_settings",
    "rich.live",
    "rich.progress",
    "sklearn.cluster",
    "sklearn.metrics",
    "tenacity",
    "yaml",
    "duckdb",
)
USED_WITH_SPARK = ("pandas", "pyspark.ml.recommendation", "pyspark.worker")


@dataclass(frozen=True)
class State:
    """What a finished set-up was made from. Its file is taken away before anything in .venv is changed.

    Attributes:
        python: implementation and version.
        folder: where .venv was made.
        locks: the digest of each lock file whose packages are there.
        project: the digest of pyproject.toml.
    """

    python: str
    folder: str
    locks: dict[str, str]
    project: str


@dataclass(frozen=True)
class Step:
    """One command of a set-up, what the person who waits reads, and a file that the command reads.

    Attributes:
        title: what the command does.
        command: the program and its arguments.
        file: what the command reads; it is written before.
        content: of that file.
        remedy: what a person does where the command fails.
    """

    title: str
    command: list[str]
    file: Path | None = None
    content: str = ""
    remedy: str = "see to a connection to the package index"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the set-up and returns its exit code: 0, or 2 after one sentence that says what to do."""
    options = _parser().parse_args(arguments)
    try:
        lock = chosen_lock(options)
        fetch_java = lock != LOCK and java_is_to_be_fetched(options.install_java, needed=lock == SPARK_LOCK)
        changed = set_up(REPOSITORY, lock)
        if fetch_java:
            _say("Downloading a Java 17 runtime from Adoptium (about 45 MB)")
            _say(f"Java is in {install_java(venv_program(REPOSITORY, 'python'))}")
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        return _explain(error)
    except KeyboardInterrupt:
        print("\nStopped: the same command starts again where it has to.", file=sys.stderr)
        return 130
    if changed or fetch_java:
        command = venv_program(REPOSITORY, "shopstream").relative_to(REPOSITORY)
        _say(f"Ready: make demo, or {command} --help")
    return 0


def chosen_lock(options: argparse.Namespace) -> str:
    """Returns the lock file whose packages were asked for. A Java is fetched for Spark alone."""
    if options.hosts:
        return HOSTS_LOCK
    if options.dev:
        return DEV_LOCK
    return SPARK_LOCK if options.spark or options.install_java else LOCK


def java_is_to_be_fetched(install: bool, needed: bool) -> bool:
    """Tells whether a Java must be downloaded; asked first, so that nobody waits for packages in vain.

    Args:
        install: where none is found.
        needed: rather than welcome, as in a set-up for tests.

    Raises:
        JavaMissingError: when it is needed, there is none and nobody wants it downloaded.
    """
    try:
        find_java()
    except JavaMissingError:
        if install:
            return True
        if needed:
            if _person_agrees():
                return True
            raise
        _say("No Java 17 or 21 is here: tests of Spark will be skipped (INSTALL_JAVA=1 downloads one).")
    return False


def set_up(root: Path, lock: str, run: Callable[[Step, Path], None] | None = None) -> bool:
    """Brings .venv up to date.

    Args:
        root: the project's folder.
        lock: the lock file whose packages it should hold, at least.
        run: what runs a step and keeps its output in a log file; a test puts another one here.

    Returns:
        Whether anything had to be done.

    Raises:
        UserError: when a step fails.
    """
    want = wanted(root, lock)
    if not plan(root, recorded(root), want):
        return False
    _check_modules()
    with _one_at_a_time(root):
        have = recorded(root)
        steps = plan(root, have, want)
        if not steps:
            return False
        started = time.monotonic()
        _say(reason(root, have, want))
        _state_file(root).unlink(missing_ok=True)
        for number, step in enumerate(steps, 1):
            _say(f"  [{number}/{len(steps)}] {step.title}")
            (run or _run)(step, root / ".venv" / "setup.log")
        _record(root, have, want)
        _say(f"Done in {time.monotonic() - started:.0f} s.")
    return True


def wanted(root: Path, lock: str) -> State:
    """Returns the state that a set-up with this Python should lead to."""
    return State(
        python=f"{sys.implementation.name} {sys.version_info[0]}.{sys.version_info[1]}",
        # A virtual environment cannot be moved: its programs name their folder.
        folder=str((root / ".venv").absolute()),
        locks={name: _digest(root / name) for name in LOCKS[: LOCKS.index(lock) + 1]},
        project=_digest(root / "pyproject.toml"),
    )


def recorded(root: Path) -> State | None:
    """Returns the state of .venv, or None when it is not there, half made or broken."""
    # the interpreter behind it may have been removed
    if not venv_program(root, "python").exists():
        return None
    try:
        return State(**json.loads(_state_file(root).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def plan(root: Path, have: State | None, want: State) -> list[Step]:
    """Lists the commands that lead from one state to another; an empty list when nothing is missing.

    Args:
        root: the project's folder.
        have: the state of .venv; None stands for one that cannot be relied on.
        want: the state to reach.
    """
    if have is None or _must_be_remade(have, want):
        # From nothing: pip takes a package that was cut off in the middle for an installed one.
        return [_venv_step(root), _build_tool_step(root), *_packages_steps(root, want), _project_step(root)]
    steps = []
    if want.locks.keys() - have.locks.keys():
        steps += _packages_steps(root, want)
    if want.project != have.project:
        steps.append(_project_step(root))
    return steps


def reason(root: Path, have: State | None, want: State) -> str:
    """Says in one line why there is something to do."""
    if not (root / ".venv").exists():
        return "Setting up .venv: the first time takes as long as its packages need to come."
    if have is None:
        return "The last set-up of .venv did not end well: making it again."
    if have.python != want.python:
        return f"Making .venv again: it has {have.python}, and this is {want.python}."
    if have.folder != want.folder:
        return f"Making .venv again: it was made for {have.folder}."
    return "Updating .venv: what it should hold has changed."


def locked_entry(lock: str, package: str) -> str:
    """Returns the lines of a lock file that pin one package, with their hashes.

    Raises:
        UserError: when the package is not in it.
    """
    entry = re.search(rf"^{re.escape(package)}==.*\n(?:[ \t]+.*\n?)*", lock, re.MULTILINE)
    if entry is None:
        raise UserError(f"{DEV_LOCK} does not pin {package}: take that file as it is in the repository.")
    return entry.group()


def venv_program(root: Path, name: str) -> Path:
    """Returns the path of a program in .venv."""
    if sys.platform == "win32":
        return root / ".venv" / "Scripts" / f"{name}.exe"
    return root / ".venv" / "bin" / name


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m spark_apps.runtime.bootstrap", description="Sets up .venv.")
    parser.add_argument("--spark", action="store_true", help="with Spark, which needs a Java")
    parser.add_argument("--dev", action="store_true", help="with Spark, and the tools for tests and checks")
    parser.add_argument("--hosts", action="store_true", help="with Ansible too, for a cluster on several hosts")
    parser.add_argument(
        "--install-java", action="store_true", help="with Spark, and a Java 17 downloaded where none is found"
    )
    return parser


def _must_be_remade(have: State, want: State) -> bool:
    if (have.python, have.folder) != (want.python, want.folder):
        return True
    return any(have.locks[lock] != want.locks[lock] for lock in have.locks.keys() & want.locks.keys())


def _venv_step(root: Path) -> Step:
    # This Python may be the one in .venv, which is about to go: the one that it was made from stays.
    python = getattr(sys, "_base_executable", None) or sys.executable
    title = f"virtual environment with Python {sys.version_info[0]}.{sys.version_info[1]}"
    return Step(title, [python, "-I", "-m", "venv", "--clear", str(root / ".venv")])


def _build_tool_step(root: Path) -> Step:
    # Pip would fetch just any setuptools to build what comes as source: the locked one is there before.
    content = locked_entry((root / DEV_LOCK).read_text(encoding="utf-8"), BUILD_TOOL)
    file = root / ".venv" / "build.txt"
    command = _pip(root, "--require-hashes", "-r", str(file))
    return Step(f"{BUILD_TOOL}, which builds what comes as source", command, file, content)


def _packages_steps(root: Path, want: State) -> list[Step]:
    lock = max(want.locks, key=LOCKS.index)
    command = _pip(root, "--require-hashes", "--no-build-isolation", "--use-pep517")
    # Nothing but pure Python is built here: NumPy and the like need compilers, and fail late and at length without.
    command += ["--only-binary=:all:", f"--no-binary={','.join(ONLY_AS_SOURCE)}", "-r", str(root / lock)]
    size = "170 MB to fetch" if lock == LOCK else "Spark alone is 450 MB"
    return [Step(f"packages of {lock} ({size})", command), _compiling_step(root, with_spark=lock != LOCK)]


def _compiling_step(root: Path, with_spark: bool) -> Step:
    # -I: the compiled modules are kept whatever PYTHONDONTWRITEBYTECODE says
    modules = [*USED, *(USED_WITH_SPARK if with_spark else ())]
    command = [str(venv_program(root, "python")), "-I", "-c", f"import {', '.join(modules)}"]
    return Step("first import, which compiles", command, remedy="install what this machine lacks of it")


def _project_step(root: Path) -> Step:
    command = _pip(root, "--no-deps", "--no-build-isolation", "--no-index", "-e", str(root))
    return Step("the shopstream command", command)


def _pip(root: Path, *options: str) -> list[str]:
    # -I: a PYTHONPATH or a user's own packages must not count as installed
    python = [str(venv_program(root, "python")), "-I", "-m", "pip", "install"]
    return [*python, "--disable-pip-version-check", "--no-input", "--progress-bar=off", "--no-compile", *options]


def _run(step: Step, log_file: Path) -> None:
    if step.file:
        step.file.write_text(step.content, encoding="utf-8")
    lines = []
    # close_fds: the child keeps this set-up's lock, so that no other starts beside it when this process is killed.
    process = subprocess.Popen(
        step.command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        close_fds=False,
    )
    with process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            _show(line)
    _show("")
    if log_file.parent.exists():
        with log_file.open("a", encoding="utf-8") as log:
            log.writelines(lines)
    if process.returncode:
        raise UserError(_failure(step, lines))


def _failure(step: Step, lines: list[str]) -> str:
    reported = [line.strip() for line in lines if line.strip()] or ["no reason given"]
    error = next((line for line in reported if line.lower().startswith("error:")), reported[-1])
    hint = " and a Python that is not newer than 3.14" if sys.version_info >= (3, 15) else ""
    return (
        f"The set-up stopped at {step.title.split(' (')[0]} ({_first_sentence(error)}; all of it is in "
        f".venv/setup.log): {step.remedy}{hint}, then run the same command again."
    )


def _first_sentence(text: str) -> str:
    sentence = text.split(". ")[0].rstrip(".")
    return sentence if len(sentence) <= 120 else f"{sentence[:120]}..."


def _show(line: str) -> None:
    """Overwrites the last line of a terminal with what pip does now."""
    if sys.stdout.isatty():
        print(f"\r{'      ' + line.strip()[:70]:<78}" if line else f"\r{'':<78}\r", end="", flush=True)


def _say(text: str) -> None:
    print(text, flush=True)


def _record(root: Path, have: State | None, want: State) -> None:
    if have is not None and not _must_be_remade(have, want):
        want = replace(want, locks={**have.locks, **want.locks})
    draft = _state_file(root).with_suffix(".new")
    draft.write_text(json.dumps(asdict(want), indent=1), encoding="utf-8")
    draft.replace(_state_file(root))


def _state_file(root: Path) -> Path:
    return root / ".venv" / "setup.json"


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _check_modules() -> None:
    if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
        raise UserError(
            "This Python cannot make virtual environments: run `sudo apt-get install python3-venv` "
            "(Debian, Ubuntu), then the same command again."
        )


def _person_agrees() -> bool:
    if not sys.stdin.isatty():
        return False
    try:
        answer = input("There is no Java 17 or 21 here. Download one for this project from Adoptium? [y/N] ")
    except EOFError:
        return False
    return answer.strip().lower() in ("y", "yes")


def _explain(error: OSError) -> int:
    where = error.filename or REPOSITORY
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        sentence = f"No space left while writing {where}: free 2 GB, then run the same command again."
    elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        sentence = f"{where} may not be written: change its owner or mode, then run the same command again."
    elif error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EISDIR):
        sentence = f"{where} is missing or of the wrong kind: take it as it is in the repository."
    else:
        raise error
    print(sentence, file=sys.stderr)
    return 2


@contextmanager
def _one_at_a_time(root: Path) -> Iterator[None]:
    with (root / ".venv.lock").open("w", encoding="utf-8") as lock:
        os.set_inheritable(lock.fileno(), True)
        if not _locked(lock):
            _say("Another set-up is at work in this folder: waiting until it ends.")
            while not _locked(lock):
                time.sleep(0.5)
        yield


def _locked(lock: IO[str]) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(lock.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        # A file system that knows no locks is no reason to refuse the set-up.
        return error.errno not in (errno.EAGAIN, errno.EACCES, errno.EDEADLK)
    return True


if __name__ == "__main__":
    sys.exit(main())
