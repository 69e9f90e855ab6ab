"""A docker command that writes down what it is asked and answers by rules; and the pages of a cluster."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from spark_apps.cluster.config import ClusterConfig
from spark_apps.cluster.state import Cluster
from tests import waiting

_PROGRAM = """#!{python} -IS
import json, os, re, sys, time
here = {folder!r}
words = " ".join(sys.argv[1:])
calls = os.open(here + "/calls", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
os.write(calls, (json.dumps([sys.argv[1:], dict(os.environ)]) + "\\n").encode())  # whole: others write too
for rule in json.load(open(here + "/rules")):
    if re.search(rule["match"], words):
        sys.stdout.write(rule["out"]); sys.stderr.write(rule["err"])
        sys.stdout.flush()
        time.sleep(rule["seconds"])
        deadline = time.monotonic() + {patience}  # a test that failed leaves nothing behind
        while rule["until"] and not os.path.exists(rule["until"]):
            if time.monotonic() > deadline:
                sys.exit(rule["until"] + " is not there")
            time.sleep(0.01)
        if rule["makes"]:
            open(rule["makes"], "w").close()
        sys.exit(rule["code"])
"""
INFO = {"ServerVersion": "27.1.0", "MemTotal": 16 * 1024**3, "NCPU": 4, "DockerRootDir": "/nowhere"}


class FakeDocker:
    """The fake in a folder that stands on the PATH; later rules win over earlier ones."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._rules: list[dict[str, Any]] = []
        program = folder / "docker"
        program.write_text(_PROGRAM.format(python=sys.executable, folder=str(folder), patience=waiting.PATIENCE))
        program.chmod(0o755)
        self.answer("^info", json.dumps(INFO))
        self.answer("^compose version", "2.26.1\n")

    def answer(
        self,
        match: str,
        out: str = "",
        err: str = "",
        code: int = 0,
        seconds: float = 0,
        until: Path | None = None,
        makes: Path | None = None,
    ) -> None:
        """Adds a rule: arguments that hold `match` get this answer.

        Args:
            match: a regular expression.
            out, err: what the call writes.
            code: its exit code.
            seconds: how long it takes.
            until: a file without which it does not end.
            makes: an empty file that it makes.
        """
        rule = {"match": match, "out": out, "err": err, "code": code, "seconds": seconds}
        self._rules.insert(0, {**rule, "until": until and str(until), "makes": makes and str(makes)})
        new = self.folder / "rules.new"
        new.write_text(json.dumps(self._rules))
        new.replace(self.folder / "rules")  # a call that runs meanwhile reads the old rules or the new

    def asked(self, word: str = "") -> list[list[str]]:
        """Returns the argument lists of calls that hold a word."""
        return [arguments for arguments, _ in self.calls() if word in " ".join(arguments)]

    def environments(self) -> list[dict[str, str]]:
        """Returns each call's process environment."""
        return [environment for _, environment in self.calls()]

    def forget(self) -> None:
        """Forgets the calls so far."""
        (self.folder / "calls").unlink(missing_ok=True)

    def containers(self, *rows: Mapping[str, Any]) -> None:
        """Sets what `compose ps` lists."""
        self.answer(r"ps --all --format json", "\n".join(json.dumps(row) for row in rows))

    def services(self, *names: str, image: str = "shopstream/spark:dev") -> None:
        """Sets what services `compose config` tells of, all of one image."""
        said = {"services": {name: {"image": image} for name in names}}
        self.answer(r"config --format json", json.dumps(said))

    def calls(self) -> list[tuple[list[str], dict[str, str]]]:
        """Returns the arguments and the process environment of each call that is written down whole."""
        try:
            lines = (self.folder / "calls").read_text().splitlines(keepends=True)
        except FileNotFoundError:
            return []
        return [tuple(json.loads(line)) for line in lines if line.endswith("\n")]


def row(service: str, number: int = 1, state: str = "running", health: str = "", **more: Any) -> dict[str, Any]:
    """One container as `compose ps --format json` gives it."""
    name = f"shopstream-{service}-{number}"
    labels = f"com.docker.compose.container-number={number},com.docker.compose.oneoff=False"
    identity = f"{abs(hash((service, number))):016x}"
    return {
        "ID": identity,
        "Name": name,
        "Service": service,
        "State": state,
        "Health": health,
        "ExitCode": 0,
        "Image": "shopstream/spark:dev",
        "Labels": labels,
        **more,
    }


@contextmanager
def serving(pages: dict[str, Any], headers: Mapping[str, str] | None = None) -> Iterator[int]:
    """Serves JSON values by path prefix on a free port of 127.0.0.1; the pages may be changed while it serves."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = next((value for path, value in pages.items() if self.path.startswith(path)), None)
            body = json.dumps(found).encode()
            self.send_response_only(200 if found is not None else 404)
            for name, value in {"Date": self.date_time_string(), **(headers or {})}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *given: Any) -> None:
            return

    with waiting.serving(Handler) as server:
        yield server.server_port


def worker(
    host: str, cores: int = 2, used: int = 0, memory: int = 2048, memory_used: int = 0, state: str = "ALIVE"
) -> Any:
    """A worker as the master's /json/ lists it."""
    return {
        "id": f"worker-{host}",
        "host": host,
        "state": state,
        "cores": cores,
        "coresused": used,
        "coresfree": cores - used,
        "memory": memory,
        "memoryused": memory_used,
        "memoryfree": memory - memory_used,
    }


def master_page(*workers: Any, applications: tuple[str, ...] = ()) -> dict[str, Any]:
    """The pages of a Spark master."""
    active = [{"name": name, "state": "RUNNING"} for name in applications]
    return {"/json/": {"workers": list(workers), "activeapps": active}}


def namenode_pages(
    live: Mapping[str, str], safe_mode: str = "", missing: int = 0, dead: int = 0, drained: int = 0
) -> dict[str, Any]:
    """The JMX pages of a NameNode with these DataNodes, state by address or name; of the dead some were drained."""
    sizes = {"capacity": 100, "usedSpace": 10, "remaining": 90, "numBlocks": 3}
    nodes = {f"{name}:9866": {"xferaddr": f"{name}:9866", "adminState": state, **sizes} for name, state in live.items()}
    info = {"LiveNodes": json.dumps(nodes), "Safemode": safe_mode, "NumberOfMissingBlocks": missing}
    state = {
        "NumLiveDataNodes": len(live),
        "NumDeadDataNodes": dead,
        "NumDecomDeadDataNodes": drained,
        "CapacityTotal": 100,
        "CapacityUsed": 10,
        "CapacityRemaining": 90,
        "UnderReplicatedBlocks": 0,
        "BlocksTotal": 3,
        "FilesTotal": 1,
    }
    jmx = "/jmx?qry=Hadoop:service=NameNode,name="
    return {f"{jmx}FSNamesystemState": {"beans": [state]}, f"{jmx}NameNodeInfo": {"beans": [info]}}


def change(cluster: Cluster, **values: object) -> None:
    """Changes single variables of cluster.env."""
    variables = {**cluster.config().variables(), **{name: str(value) for name, value in values.items()}}
    ClusterConfig.from_variables(variables).write(cluster.env_file)
