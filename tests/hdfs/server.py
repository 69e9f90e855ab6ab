"""A real NameNode and DataNode on 127.0.0.1, for tests that talk to HDFS."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
import urllib.request
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from typing import Any
from xml.sax.saxutils import escape

import pytest
from filelock import FileLock

from spark_apps.runtime.java import find_java

VERSION = "3.4.3"
JARS_VARIABLE = "SHOPSTREAM_HADOOP_JARS"
CACHED_JARS = Path("~/.cache/shopstream").expanduser() / f"hadoop-{VERSION}"
SUPERUSER = "hdfs"
READY_SECONDS = 90
# read now: tests/conftest.py takes SHOPSTREAM_ variables away before tests run
_GIVEN_JARS = os.environ.get(JARS_VARIABLE)
_WHOLE = "complete"
_MAIN = "org.apache.hadoop.hdfs.server"
# who is in which group is fixed here: none of these users exists on the host
GROUPS = "hdfs=hdfs;spark=shopstream;visitor=visitors"

_POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
 <modelVersion>4.0.0</modelVersion>
 <groupId>shopstream</groupId><artifactId>hadoop-for-tests</artifactId><version>1</version><packaging>pom</packaging>
 <dependencies>{}</dependencies>
</project>
"""
_DEPENDENCY = (
    "<dependency><groupId>org.apache.hadoop</groupId><artifactId>{}</artifactId><version>"
    + VERSION
    + "</version>{}</dependency>"
)


@dataclass
class HdfsServer:
    """A running file system.

    Attributes:
        webhdfs: URL of the NameNode's web server, as http://127.0.0.1:PORT.
        uri: what Hadoop clients call it, as hdfs://127.0.0.1:PORT.
        superuser: the user who may do everything; `spark` and `visitor` are users like others.
        class_path: Hadoop of the same version, for clients of one's own.
        conf: folder of core-site.xml and hdfs-site.xml.
    """

    webhdfs: str
    uri: str
    superuser: str
    class_path: str
    conf: Path

    def admin(self, *arguments: str) -> str:
        """Runs `hdfs dfsadmin` as the superuser and returns what it prints."""
        command = self.admin_command(*arguments)
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout

    def admin_command(self, *arguments: str) -> list[str]:
        """Returns the command line of `hdfs dfsadmin` as the superuser."""
        user = f"HADOOP_USER_NAME={self.superuser}"
        return ["env", user, *_java(self.class_path), "org.apache.hadoop.hdfs.tools.DFSAdmin", *arguments]


@pytest.fixture(scope="session")
def hdfs_server(java: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HdfsServer]:
    """One NameNode and one DataNode for the whole test run, permissions on, replication 1."""
    with running(hadoop_jars(), tmp_path_factory.mktemp("hdfs")) as server:
        yield server


def hadoop_jars() -> Path:
    """Returns a folder with Hadoop's jars and, below it, the servers' webapps/; fetches them once."""
    if _GIVEN_JARS:
        return Path(_GIVEN_JARS)
    if not (CACHED_JARS / _WHOLE).exists():
        if which("mvn") is None:
            pytest.skip(f"Hadoop's jars are not here: install mvn, or set {JARS_VARIABLE} to a folder of them")
        _fetch_jars()
    return CACHED_JARS


@contextmanager
def running(jars: Path, folder: Path, more: Mapping[str, str] | None = None) -> Iterator[HdfsServer]:
    """Runs the two servers, with `more` in hdfs-site.xml and their data in a folder, until the block ends."""
    conf = folder / "conf"
    conf.mkdir()
    rpc, http = _free_ports(2)
    _write_site(conf / "core-site.xml", _core(rpc))
    _write_site(conf / "hdfs-site.xml", {**_hdfs(folder, rpc, http), **(more or {})})
    class_path = os.pathsep.join([str(conf), str(jars), str(jars / "*")])
    server = HdfsServer(f"http://127.0.0.1:{http}", f"hdfs://127.0.0.1:{rpc}", SUPERUSER, class_path, conf)
    started: list[subprocess.Popen[bytes]] = []
    try:
        _start(class_path, folder / "format.log", "namenode.NameNode", "-format", "-nonInteractive").wait(60)
        for name in ("namenode.NameNode", "datanode.DataNode"):
            started.append(_start(class_path, folder / f"{name}.log", name))
        _await_ready(server, started, folder)
        yield server
    finally:
        for process in started:
            process.terminate()
        for process in started:
            _end(process)


@contextmanager
def another_datanode(server: HdfsServer, folder: Path) -> Iterator[None]:
    """Runs one more DataNode, with a folder of its own, until the block ends."""
    (folder / "conf").mkdir(parents=True)
    text = (server.conf / "hdfs-site.xml").read_text(encoding="utf-8")
    mine = text.replace(f"file://{server.conf.parent}/data", f"file://{folder}/data")
    (folder / "conf" / "hdfs-site.xml").write_text(mine, encoding="utf-8")
    class_path = os.pathsep.join([str(folder / "conf"), server.class_path])
    process = _start(class_path, folder / "datanode.log", "datanode.DataNode")
    try:
        yield
    finally:
        process.terminate()
        _end(process)


def _fetch_jars() -> None:
    CACHED_JARS.mkdir(parents=True, exist_ok=True)
    with FileLock(CACHED_JARS.with_suffix(".lock")):
        if (CACHED_JARS / _WHOLE).exists():
            return
        plain = [_DEPENDENCY.format(name, "") for name in ("hadoop-common", "hadoop-hdfs", "hadoop-hdfs-client")]
        pages = _DEPENDENCY.format("hadoop-hdfs", "<classifier>tests</classifier>")
        # the servers' web pages are in the tests' jar alone, which must not stand on the class path itself
        _copy_dependencies(CACHED_JARS / "pages", [pages], "-DexcludeTransitive=true")
        _copy_dependencies(CACHED_JARS, plain)
        with zipfile.ZipFile(CACHED_JARS / "pages" / f"hadoop-hdfs-{VERSION}-tests.jar") as archive:
            archive.extractall(CACHED_JARS, [name for name in archive.namelist() if name.startswith("webapps/")])
        (CACHED_JARS / _WHOLE).touch()


def _copy_dependencies(target: Path, dependencies: list[str], *options: str) -> None:
    target.mkdir(parents=True, exist_ok=True)
    pom = target / "pom.xml"
    pom.write_text(_POM.format("".join(dependencies)), encoding="utf-8")
    goal = ["dependency:copy-dependencies", f"-DoutputDirectory={target}", *options]
    subprocess.run(["mvn", "-q", "-B", "-f", str(pom), *goal], check=True, timeout=600)


def _core(rpc: int) -> dict[str, str]:
    return {
        "fs.defaultFS": f"hdfs://127.0.0.1:{rpc}",
        "hadoop.http.staticuser.user": "nobody",
        "hadoop.user.group.static.mapping.overrides": GROUPS,
        "hadoop.security.token.service.use_ip": "true",
    }


def _hdfs(folder: Path, rpc: int, http: int) -> dict[str, str]:
    return {
        "dfs.namenode.rpc-address": f"127.0.0.1:{rpc}",
        "dfs.namenode.http-address": f"127.0.0.1:{http}",
        "dfs.namenode.name.dir": f"file://{folder}/name",
        "dfs.datanode.data.dir": f"file://{folder}/data",
        "dfs.datanode.address": "127.0.0.1:0",
        "dfs.datanode.http.address": "127.0.0.1:0",
        "dfs.datanode.ipc.address": "127.0.0.1:0",
        # a redirect of WebHDFS names this host, so it must be one that the test can reach
        "dfs.datanode.hostname": "127.0.0.1",
        "dfs.permissions.enabled": "true",
        "dfs.permissions.superusergroup": "hdfs",
        "dfs.replication": "1",
        "dfs.heartbeat.interval": "1",
        "dfs.namenode.safemode.extension": "0",
        "dfs.namenode.redundancy.interval.seconds": "1s",
        "dfs.namenode.edits.noeditlogchannelflush": "true",  # the data need not outlive the machine
        "dfs.datanode.du.reserved": "0",
    }


def _write_site(path: Path, values: dict[str, str]) -> None:
    entries = "".join(f"<property><name>{k}</name><value>{escape(v)}</value></property>" for k, v in values.items())
    path.write_text(f"<configuration>{entries}</configuration>", encoding="utf-8")


def _java(class_path: str) -> list[str]:
    java = str(find_java() / "bin" / "java")
    quick = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
    return [java, *quick, "--add-opens=java.base/java.lang=ALL-UNNAMED", "-cp", class_path]


def _start(class_path: str, log: Path, name: str, *arguments: str) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        return subprocess.Popen(
            [*_java(class_path), f"{_MAIN}.{name}", *arguments],
            env={**os.environ, "HADOOP_USER_NAME": SUPERUSER, "HADOOP_LOG_DIR": str(log.parent)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=log.parent,
        )


def _await_ready(server: HdfsServer, processes: list[subprocess.Popen[bytes]], folder: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not _usable(server):
        ended = [process for process in processes if process.poll() is not None]
        if ended or time.monotonic() > deadline:
            logs = "\n".join(log.read_text(errors="replace")[-2000:] for log in folder.glob("*Node.log"))
            raise RuntimeError(f"HDFS did not start:\n{logs}")
        time.sleep(0.1)


def _usable(server: HdfsServer) -> bool:
    try:
        return bool(
            bean(server, "NameNodeInfo")["Safemode"] == "" and bean(server, "FSNamesystemState")["NumLiveDataNodes"]
        )
    except (OSError, IndexError):  # not listening yet, or the bean is not there yet
        return False


def bean(server: HdfsServer, name: str) -> dict[str, Any]:
    """Returns one of the NameNode's JMX beans."""
    url = f"{server.webhdfs}/jmx?qry=Hadoop:service=NameNode,name={name}"
    with urllib.request.urlopen(url, timeout=10) as answer:
        found: dict[str, Any] = json.load(answer)["beans"][0]
        return found


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(20)
