"""Builds InfluxDB and Grafana from their Go modules, for machines that cannot pull the official images.

    python3 docker/from-source/build.py [influxdb] [grafana] [--pages] [--no-image]

Makes the images shopstream/influxdb-from-source and shopstream/grafana-from-source. What is built is kept in
~/.cache/shopstream/from-source, by version: the first time takes about five minutes for each, the next seconds.
Needs Go 1.25 or newer and, for InfluxDB, gcc, pkg-config and Rust; for --pages (Grafana's web pages), Node 20.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
CACHE = Path.home() / ".cache" / "shopstream" / "from-source"

INFLUXDB = "2.9.1"
INFLUXDB_MODULE = f"github.com/influxdata/influxdb/v2/cmd/influxd@v{INFLUXDB}"
PKG_CONFIG_MODULE = "github.com/influxdata/pkg-config@v0.3.0"

GRAFANA = "10.0.0"
GRAFANA_COMMIT = "81d85ce8028d"
# the Go proxy knows releases of Grafana by their commits only: this one is v10.0.0
GRAFANA_MODULE = f"github.com/grafana/grafana@v1.9.2-0.20230609164553-{GRAFANA_COMMIT}"
GRAFANA_GO = "go1.20.14"
# what Grafana of that time generates its wiring with
WIRE_MODULE = """\
module wiretool

go 1.20

require (
\tgithub.com/google/wire v0.5.0
\tgolang.org/x/tools v0.7.0
)
"""
WIRE_IMPORT = '//go:build tools\n\npackage tools\n\nimport _ "github.com/google/wire/cmd/wire"\n'

# scripts of the old graph panel: module archives leave out every folder called vendor
FLOT = ["crosshair", "dashes", "fillbelow", "gauge", "selection", "stack", "stackpercent", "time"]
LEGACY_SCRIPTS = [
    "bootstrap/bootstrap.js",
    "tagsinput/bootstrap-tagsinput.js",
    "flot/jquery.flot.js",
    *[f"flot/jquery.flot.{name}.js" for name in FLOT],
]


class BuildError(Exception):
    """A step that failed."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Builds what is asked for, both servers by default; returns 0, or 2 after an error."""
    parser = argparse.ArgumentParser(description="InfluxDB and Grafana from their Go modules, as Docker images.")
    parser.add_argument("servers", nargs="*", metavar="influxdb|grafana")
    parser.add_argument("--pages", action="store_true", help="Grafana's web pages too (Node 20, three minutes more)")
    parser.add_argument("--no-image", action="store_true", help="fill the cache only: needs no Docker")
    options = parser.parse_args(arguments)
    unknown = set(options.servers) - {"influxdb", "grafana"}
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))} here: influxdb, grafana or nothing for both")
    wanted = options.servers or ["influxdb", "grafana"]
    try:
        if "influxdb" in wanted:
            folder = influxdb()
            if not options.no_image:
                image("influxdb", INFLUXDB, folder)
        if "grafana" in wanted:
            folder = grafana(options.pages)
            if not options.no_image:
                image("grafana", GRAFANA, folder)
    except BuildError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def influxdb() -> Path:
    """Builds InfluxDB's server where the cache does not hold it; returns its folder."""
    folder = CACHE / f"influxdb-{INFLUXDB}"
    if (folder / "influxd").is_file():
        return folder
    say(f"Building InfluxDB {INFLUXDB} from its Go module: about five minutes.")
    with workshop() as work:
        go = {**os.environ, "GOFLAGS": "-mod=mod"}
        run(["go", "mod", "init", "influxd"], work, go)
        # Flux is partly Rust: this stands in for pkg-config and builds that part
        run(["go", "install", PKG_CONFIG_MODULE], work, {**go, "GOBIN": str(work / "bin")})
        run(["go", "get", INFLUXDB_MODULE], work, go)
        # Flux asks for an older Rust and further targets; the installed one compiles it
        go |= {"PKG_CONFIG": str(work / "bin" / "pkg-config"), "RUSTUP_TOOLCHAIN": "stable"}
        flags = ["-tags", "sqlite_foreign_keys,sqlite_json", "-ldflags", f"-s -w -X main.version=v{INFLUXDB}"]
        done = work / "done"
        done.mkdir()
        run(["go", "build", *flags, "-o", str(done / "influxd"), INFLUXDB_MODULE.partition("@")[0]], work, go)
        keep(done, folder)
    return folder


def grafana(pages: bool) -> Path:
    """Builds Grafana's server, and its web pages when asked, where the cache does not hold them.

    Returns:
        The folder, laid out as Grafana's home.
    """
    name = f"grafana-{GRAFANA}"
    folder, plain = CACHE / (f"{name}-pages" if pages else name), CACHE / name
    if (folder / "bin" / "grafana").is_file():
        return folder
    say(f"Building Grafana {GRAFANA} from its Go module: five minutes or more.")
    with workshop() as work:
        source = grafana_source(work)
        done = work / "done"
        if (plain / "bin" / "grafana").is_file():
            shutil.copytree(plain, done)
        else:
            grafana_server(work, source, done)
        if pages:
            grafana_pages(source)
            shutil.rmtree(done / "public")
            shutil.copytree(source / "public", done / "public")
        keep(done, folder)
    return folder


def grafana_source(work: Path) -> Path:
    """Returns a copy of Grafana's module that can be changed."""
    local = {**os.environ, "GOTOOLCHAIN": "local"}
    (work / "get").mkdir()
    run(["go", "mod", "init", "get"], work / "get", local)
    told = json.loads(run(["go", "mod", "download", "-json", GRAFANA_MODULE], work / "get", local))
    source = work / "source"
    shutil.copytree(told["Dir"], source, symlinks=True)
    make_writable(source)
    return source


def grafana_server(work: Path, source: Path, done: Path) -> None:
    """Builds the server into a folder laid out as Grafana's home."""
    go = {**os.environ, "GOTOOLCHAIN": GRAFANA_GO, "GOFLAGS": "-buildvcs=false"}
    wire = work / "wire"
    wire.mkdir()
    (wire / "go.mod").write_text(WIRE_MODULE, encoding="utf-8")
    (wire / "tools.go").write_text(WIRE_IMPORT, encoding="utf-8")
    run(["go", "mod", "tidy"], wire, go)
    run(["go", "install", "github.com/google/wire/cmd/wire"], wire, {**go, "GOBIN": str(work / "bin")})
    # the wiring is made at build time and no part of the module
    run([str(work / "bin" / "wire"), "gen", "-tags", "oss", "./pkg/server"], source, go)
    build = f"-X main.version={GRAFANA} -X main.commit={GRAFANA_COMMIT} -X main.buildBranch=HEAD"
    target = done / "bin" / "grafana"
    run(
        ["go", "build", "-tags", "oss", "-ldflags", f"-s -w {build}", "-o", str(target), "./pkg/cmd/grafana"],
        source,
        go,
    )
    for name in ("conf", "public"):
        shutil.copytree(source / name, done / name)
    (done / "plugins-bundled").mkdir()


def grafana_pages(source: Path) -> None:
    """Builds the web pages within the source."""
    # one dependency stands outside npm: its last release there instead
    substitute(source / "package.json", r'"xlsx": "https://[^"]*"', '"xlsx": "0.18.5"')
    # webpack finds no module through the links that its package manager makes
    substitute(source / "scripts/webpack/webpack.common.js", "symlinks: false", "symlinks: true")
    node = {
        **os.environ,
        "NODE_ENV": "production",
        "NODE_OPTIONS": "--max_old_space_size=7000",
        "HUSKY": "0",
        "YARN_NODE_LINKER": "node-modules",
        "YARN_ENABLE_IMMUTABLE_INSTALLS": "false",
        "YARN_ENABLE_SCRIPTS": "0",
        "YARN_ENABLE_TELEMETRY": "0",
    }
    if "YARN_NPM_REGISTRY_SERVER" not in node:
        node["YARN_NPM_REGISTRY_SERVER"] = run(["npm", "config", "get", "registry"], source, node).strip().rstrip("/")
    yarn = next((source / ".yarn" / "releases").glob("yarn-*.cjs"))
    run(["node", str(yarn), "install"], source, {**node, "NODE_ENV": "development"})
    for script in LEGACY_SCRIPTS:
        file = source / "public" / "vendor" / script
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    webpack = ["run", "webpack", "--config", "scripts/webpack/webpack.prod.js", "--no-devtool"]
    run(["node", str(yarn), *webpack], source, node)


def image(server: str, version: str, folder: Path) -> None:
    """Makes a server's image from what is in the cache."""
    name = f"shopstream/{server}-from-source:{version}"
    base = os.environ.get("BASE_IMAGE", "debian:bookworm-slim")
    command = [os.environ.get("SHOPSTREAM_DOCKER", "docker"), "buildx", "build", "--load", "--quiet", "--tag", name]
    command += ["--build-arg", f"BASE_IMAGE={base}", "--build-arg", f"VERSION={version}"]
    run([*command, "--file", str(HERE / f"{server}.Dockerfile"), str(folder)], HERE, dict(os.environ))
    say(name)


@contextmanager
def workshop() -> Iterator[Path]:
    """Gives a folder for one build, in the cache's own file system, and takes it away afterwards."""
    CACHE.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="building-", dir=CACHE))
    try:
        yield work
    finally:
        make_writable(work)
        shutil.rmtree(work)


def keep(done: Path, folder: Path) -> None:
    """Puts a finished build where the next run finds it: all of it at once."""
    shutil.rmtree(folder, ignore_errors=True)
    done.rename(folder)


def make_writable(folder: Path) -> None:
    """Lets the owner change what the module cache had made read-only."""
    for path in [folder, *folder.rglob("*")]:
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | 0o200)


def substitute(file: Path, pattern: str, text: str) -> None:
    """Replaces a pattern in a file.

    Raises:
        BuildError: when it is not there.
    """
    changed, count = re.subn(pattern, text, file.read_text(encoding="utf-8"))
    if not count:
        raise BuildError(f"{file} does not hold {pattern}: it is another version than this script is for.")
    file.write_text(changed, encoding="utf-8")


def run(command: list[str], folder: Path, environment: dict[str, str]) -> str:
    """Runs a command and returns its standard output.

    Raises:
        BuildError: when it is not installed or fails, with its last lines.
    """
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8"
        )
    except FileNotFoundError:
        raise BuildError(f"{command[0]} is missing: install it, or use the official images.") from None
    if done.returncode:
        tail = "\n  ".join((done.stdout + done.stderr).splitlines()[-15:])
        raise BuildError(f"{' '.join(command[:4])} failed:\n  {tail}")
    return done.stdout


def say(text: str) -> None:
    """Tells whoever waits."""
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
