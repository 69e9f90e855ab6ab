"""Finds the Java that Spark 4.1 needs, or fetches one; standard library only, for the set-up."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from spark_apps.errors import JavaMissingError, UserError

SUPPORTED = (17, 21)
# Spark 4.1 does not start without it, and trimmed Java builds leave it out.
NEEDED_MODULE = "jdk.incubator.vector"
# A user without a home folder (as in a container with an unknown user id) keeps the "~": no Java is there.
OWN_JAVA = Path(os.path.expanduser("~")) / ".cache" / "shopstream" / "java"  # noqa: PTH111

HOW_TO_GET_IT = {
    "linux": "sudo apt-get install openjdk-17-jre-headless (Debian, Ubuntu; where 17 is gone: "
    "openjdk-21-jre-headless) or sudo dnf install java-21-openjdk-headless",
    "darwin": "brew install openjdk@17",
    "win32": "winget install EclipseAdoptium.Temurin.17.JRE",
}

# Where these commands put a Java: not always on the PATH, or behind another version there.
USUAL_PLACES: tuple[tuple[str, str], ...] = {
    "linux": (("/usr/lib/jvm", "*"),),
    "darwin": (
        ("/Library/Java/JavaVirtualMachines", "*/Contents/Home"),
        ("/opt/homebrew/opt", "openjdk@*/libexec/openjdk.jdk/Contents/Home"),
        ("/usr/local/opt", "openjdk@*/libexec/openjdk.jdk/Contents/Home"),
    ),
    "win32": (("C:/Program Files/Eclipse Adoptium", "*"), ("C:/Program Files/Java", "*")),
}.get(sys.platform, ())

_DOWNLOAD_SECONDS = 900
# Run by the Python of .venv, where install-jdk is: Adoptium's JRE has the needed module.
_DOWNLOAD = """
import socket, sys
import jdk
socket.setdefaulttimeout(30)
jdk.install("17", jre=True, path=sys.argv[1])
"""


def find_java() -> Path:
    """Returns the home folder of a Java that Spark can run on.

    Looks at JAVA_HOME, the PATH, the system's usual folders and the one that `make setup INSTALL_JAVA=1`
    fills, in this order.

    Raises:
        JavaMissingError: saying what was found instead and how to get the right one.
    """
    refused = []
    for home in dict.fromkeys(_candidates()):
        fault = _fault(home)
        if fault is None:
            return home
        refused.append(f"{home} {fault}")
    seen = f" ({'; '.join(refused)})" if refused else ""
    fetch = "make setup INSTALL_JAVA=1"
    if sys.platform == "win32":
        fetch = "python -m spark_apps.runtime.bootstrap --install-java"
    raise JavaMissingError(
        f"Spark needs Java 17 or 21 and none was found{seen}: run `{fetch}` to get one for this project, "
        f"or: {how_to_get_java()}."
    )


def install_java(python: Path) -> Path:
    """Downloads a Java 17 runtime from Adoptium into this user's cache folder.

    Args:
        python: the interpreter of a virtual environment that has the package install-jdk.

    Returns:
        The home folder of the new Java.

    Raises:
        UserError: when it cannot be downloaded or does not serve.
    """
    OWN_JAVA.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="java-", dir=OWN_JAVA.parent) as scratch:
        unpacked = Path(scratch) / "java"
        _download(python, unpacked)
        # Renamed when whole, so that an interrupted download is never taken for a Java.
        shutil.rmtree(OWN_JAVA, ignore_errors=True)
        unpacked.rename(OWN_JAVA)
    return find_java()


def how_to_get_java() -> str:
    """Returns this platform's command that installs a Java for Spark."""
    return HOW_TO_GET_IT.get(sys.platform, "install OpenJDK 17")


def java_version(home: Path) -> int | None:
    """Returns the major version of the Java below a home folder, or None where it does not run."""
    if not _executable(home).exists():
        return None
    reported = re.search(r'^JAVA_VERSION="(?:1\.)?(\d+)', _release(home), re.MULTILINE)
    reported = reported or re.search(r'version "(?:1\.)?(\d+)', _ask(_executable(home), "-version"))
    return int(reported.group(1)) if reported else None


def _candidates() -> Iterator[Path]:
    if os.environ.get("JAVA_HOME"):
        yield Path(os.environ["JAVA_HOME"])
    on_path = shutil.which("java")
    if on_path:
        yield _home_of(Path(on_path))
    for folder, pattern in USUAL_PLACES:
        homes = {path.resolve() for path in Path(folder).glob(pattern)}
        yield from sorted(home for home in homes if _executable(home).exists())
    yield from sorted(path.parent.parent for path in OWN_JAVA.glob(f"**/bin/{_executable(OWN_JAVA).name}"))


def _home_of(java: Path) -> Path:
    home = java.resolve().parent.parent
    if (home / "release").is_file():
        return home
    # A launcher (of macOS, of a version manager) stands somewhere else than the Java that it starts.
    reported = re.search(r"java\.home = (.+)", _ask(java, "-XshowSettings:properties", "-version"))
    return Path(reported.group(1).strip()) if reported else home


def _fault(home: Path) -> str | None:
    version = java_version(home)
    if version is None:
        return "does not start"
    if version not in SUPPORTED:
        return f"is version {version}"
    if not _has_vector_module(home):
        return f"is version {version} without the module {NEEDED_MODULE}"
    return None


def _has_vector_module(home: Path) -> bool:
    modules = re.search(r'^MODULES="([^"]*)"', _release(home), re.MULTILINE)
    if modules:
        return NEEDED_MODULE in modules.group(1).split()
    return NEEDED_MODULE in _ask(_executable(home), "--list-modules")


def _release(home: Path) -> str:
    try:
        return (home / "release").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _ask(java: Path, *options: str) -> str:
    try:
        answer = subprocess.run(
            [java, *options], capture_output=True, text=True, errors="replace", check=False, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout + answer.stderr


def _executable(home: Path) -> Path:
    return home / "bin" / ("java.exe" if sys.platform == "win32" else "java")


def _download(python: Path, target: Path) -> None:
    # install-jdk puts the archive into the folder for temporary files: this one goes away with its contents.
    environment = {**os.environ, **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(target.parent))}
    try:
        done = subprocess.run(
            [python, "-I", "-c", _DOWNLOAD, target],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=_DOWNLOAD_SECONDS,
        )
    except subprocess.TimeoutExpired:
        reason = f"not done after {_DOWNLOAD_SECONDS // 60} minutes"
    else:
        if done.returncode == 0:
            return
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
    raise UserError(
        f"Java could not be downloaded from api.adoptium.net ({reason}): check the connection and run the "
        f"same command again, or: {how_to_get_java()}."
    )
