"""Starts and stops a Docker engine on a machine that has none, such as a CI machine (Debian 12, as root).

    python3 tests/cluster/engine.py start|stop|status [--state FOLDER]

Needs nothing but Python's standard library. What is there already is left as it is.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

REPOSITORY = Path(__file__).resolve().parents[2]
CERTIFICATES = REPOSITORY / "docker" / "ca-certificates"
HOST_CERTIFICATES = Path("/usr/local/share/ca-certificates")
PLUGINS = Path.home() / ".docker" / "cli-plugins"
DOCKER = "/usr/bin/docker"
DOCKERD = "/usr/sbin/dockerd"
BASE_IMAGE = "debian:bookworm-slim"
MIRROR = os.environ.get("DEBIAN_MIRROR", "http://deb.debian.org/debian")
# Compose of Debian 12 is too old; these packages of Debian 13 are two programs that run on Debian 12 as they are
PLUGIN_PACKAGES = {"docker-compose": "docker-compose", "docker-buildx": "docker-buildx"}
PLUGIN_SUITE = "trixie"
START_SECONDS = 60
STOP_SECONDS = 60
PULL_SECONDS = 30
NOT_RUNNING = 3


class EngineError(Exception):
    """Something that whoever runs this can see to."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns 0, 2 after an error and 3 for the status of an engine that does not answer."""
    parser = argparse.ArgumentParser(description="A Docker engine for the cluster tests.")
    parser.add_argument("command", choices=["start", "stop", "status"])
    parser.add_argument("--state", type=Path, default=Path("/var/lib/shopstream-engine"), help="the engine's folder")
    options = parser.parse_args(arguments)
    state = options.state.absolute()
    try:
        if options.command == "start":
            start(state)
        elif options.command == "stop":
            stop(state)
        return status(state) if options.command != "stop" else 0
    except EngineError as error:
        print(error, file=sys.stderr)
        return 2


def start(state: Path) -> None:
    """Installs what is missing, starts the engine and sees to the base image and the extra CA certificates.

    Raises:
        EngineError: when a step fails.
    """
    copy_certificates(HOST_CERTIFICATES, CERTIFICATES)
    install_packages()
    install_plugins(state)
    if not answers():
        start_engine(state)
    if not has_image(BASE_IMAGE):
        fetch_base_image(state)


def stop(state: Path) -> None:
    """Ends the engine that `start` started from this folder; another one is left alone.

    Raises:
        EngineError: when it does not end.
    """
    pid = engine_pid(state)
    if pid is None:
        print("No engine of this folder is running.")
        return
    os.kill(pid, signal.SIGTERM)
    if not wait_until(lambda: engine_pid(state) is None, STOP_SECONDS):
        raise EngineError(f"dockerd, process {pid}, did not end within {STOP_SECONDS} s: see {log_file(state)}.")
    print("The engine has ended.")


def status(state: Path) -> int:
    """Says whether an engine answers and returns the exit code that says the same."""
    if not answers():
        print("No Docker engine answers.")
        return NOT_RUNNING
    version = output([DOCKER, "version", "--format", "{{.Server.Version}}"])
    compose = output([DOCKER, "compose", "version", "--short"])
    pid = engine_pid(state)
    owner = f"process {pid}, log {log_file(state)}" if pid else "not started from here"
    print(f"Docker engine {version} with Compose {compose} answers ({owner}); its client is {DOCKER}.")
    return 0


def copy_certificates(source: Path, target: Path) -> None:
    """Copies a machine's extra CA certificates to where image builds look for them."""
    for file in sorted(source.rglob("*.crt")):
        copy = target / file.name
        if not copy.exists() or copy.read_bytes() != file.read_bytes():
            shutil.copyfile(file, copy)


def install_packages() -> None:
    """Installs Debian's engine and debootstrap where they are missing."""
    programs = {DOCKERD: "docker.io", "/usr/sbin/iptables": "iptables", "/usr/sbin/debootstrap": "debootstrap"}
    missing = [package for program, package in programs.items() if not Path(program).exists()]
    if not missing:
        return
    if os.geteuid() != 0:
        raise EngineError(f"Install {', '.join(missing)} first, or run this as root.")
    run(["apt-get", "update", "-qq"])
    run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing])


def install_plugins(state: Path) -> None:
    """Puts Compose v2 and buildx into this user's plug-in folder where the client does not know them."""
    missing = [package for package, plugin in PLUGIN_PACKAGES.items() if not knows_plugin(plugin)]
    if not missing:
        return
    folder = state / "plugins"
    shutil.rmtree(folder, ignore_errors=True)
    for part in ("lists/partial", "packages", "tree"):
        (folder / part).mkdir(parents=True)
    # _apt, the user that apt downloads as, writes here
    for path in (folder / "packages", folder / "lists" / "partial"):
        path.chmod(0o777)
    keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
    sources = folder / "sources.list"
    sources.write_text(f"deb [signed-by={keyring}] {MIRROR} {PLUGIN_SUITE} main\n", encoding="utf-8")
    # a source and lists of its own: nothing else on the machine can come from this suite
    apt = ["apt-get", "-qq", "-o", f"Dir::Etc::sourcelist={sources}", "-o", "Dir::Etc::sourceparts=/dev/null"]
    apt += [
        "-o",
        f"Dir::State::lists={folder / 'lists'}",
        "-o",
        "Dir::Cache::pkgcache=",
        "-o",
        "Dir::Cache::srcpkgcache=",
    ]
    run([*apt, "update"])
    run([*apt, "download", *missing], folder / "packages")
    for package in sorted((folder / "packages").glob("*.deb")):
        run(["dpkg-deb", "-x", str(package), str(folder / "tree")])
    PLUGINS.mkdir(parents=True, exist_ok=True)
    for plugin in sorted((folder / "tree" / "usr/libexec/docker/cli-plugins").iterdir()):
        shutil.copy2(plugin, PLUGINS / plugin.name)
    shutil.rmtree(folder)


def start_engine(state: Path) -> None:
    """Starts dockerd in the background and returns when it answers.

    Raises:
        EngineError: when it ends at once or does not answer in time.
    """
    if os.geteuid() != 0:
        raise EngineError("Only root can start a Docker engine: start Docker yourself, or run this as root.")
    state.mkdir(parents=True, exist_ok=True)
    if engine_pid(state) is None:
        # a pid file left by an engine that was killed may name another process by now
        pid_file(state).unlink(missing_ok=True)
    command = [DOCKERD, "--data-root", str(state / "data"), "--exec-root", str(state / "exec")]
    command += ["--pidfile", str(pid_file(state))]
    with log_file(state).open("ab") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    if not wait_until(lambda: answers() or process.poll() is not None, START_SECONDS) or process.poll() is not None:
        tail = log_file(state).read_text(encoding="utf-8", errors="replace").splitlines()[-5:]
        raise EngineError("dockerd did not start:\n  " + "\n  ".join(tail))


def fetch_base_image(state: Path) -> None:
    """Pulls the base image, or makes it from Debian's packages where no registry answers."""
    try:
        pulled = subprocess.run([DOCKER, "pull", "-q", BASE_IMAGE], capture_output=True, timeout=PULL_SECONDS)
        if pulled.returncode == 0:
            return
    except subprocess.TimeoutExpired:
        pass  # a network that drops what is sent to a registry
    print(f"No registry answers: making {BASE_IMAGE} with debootstrap.", flush=True)
    tree = state / "bookworm"
    shutil.rmtree(tree, ignore_errors=True)
    run(["debootstrap", "--variant=minbase", "--include=ca-certificates", "bookworm", str(tree), MIRROR])
    # as Debian's own slim images: neither packages that were unpacked nor manuals
    left_out = ["./var/cache/apt/*", "./var/lib/apt/lists/*", "./var/log/*", "./usr/share/man/*", "./usr/share/doc/*"]
    left_out += ["./usr/share/locale/*", "./usr/share/info/*"]
    pack = subprocess.Popen(
        ["tar", "-C", str(tree), *[f"--exclude={pattern}" for pattern in left_out], "-c", "."], stdout=subprocess.PIPE
    )
    with pack:
        run([DOCKER, "import", "--change", 'CMD ["bash"]', "-", BASE_IMAGE], stdin=pack.stdout)
    if pack.returncode:
        raise EngineError(f"tar could not pack {tree}.")
    shutil.rmtree(tree)


def answers() -> bool:
    """Says whether a Docker engine answers this user."""
    return Path(DOCKER).exists() and succeeds([DOCKER, "info"])


def has_image(name: str) -> bool:
    """Says whether the engine holds an image."""
    return succeeds([DOCKER, "image", "inspect", name])


def knows_plugin(name: str) -> bool:
    """Says whether the client finds a plug-in such as docker-compose."""
    return Path(DOCKER).exists() and succeeds([DOCKER, name.removeprefix("docker-"), "version"])


def engine_pid(state: Path) -> int | None:
    """Returns the process of the engine that was started from a folder, if it still runs."""
    try:
        pid = int(pid_file(state).read_text(encoding="ascii"))
        name = Path(f"/proc/{pid}/comm").read_text(encoding="ascii").strip()
        ended = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError, ValueError):
        return None
    return pid if name == "dockerd" and not ended else None


def pid_file(state: Path) -> Path:
    """Returns the file in which dockerd keeps its process id."""
    return state / "dockerd.pid"


def log_file(state: Path) -> Path:
    """Returns the file that takes what dockerd says."""
    return state / "dockerd.log"


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Asks again and again until a condition holds; returns whether it did in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def succeeds(command: list[str]) -> bool:
    """Says whether a command that prints nothing of interest ends well."""
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def output(command: list[str]) -> str:
    """Returns what a command prints, or a word for nothing."""
    with contextlib.suppress(OSError):
        return subprocess.run(command, capture_output=True, encoding="utf-8").stdout.strip() or "unknown"
    return "unknown"


def run(command: list[str], folder: Path | None = None, stdin: int | IO[bytes] | None = subprocess.DEVNULL) -> None:
    """Runs a command quietly.

    Raises:
        EngineError: with its last lines, when it fails.
    """
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    if done.returncode:
        tail = "\n  ".join(done.stdout.splitlines()[-5:])
        raise EngineError(f"{' '.join(command)} failed:\n  {tail}")


if __name__ == "__main__":
    sys.exit(main())
