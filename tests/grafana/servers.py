"""A fresh InfluxDB and Grafana in two containers, as the cluster has them, for what needs no cluster.

    python -m tests.grafana.servers COMMAND...

runs a command with SHOPSTREAM_TEST_GRAFANA set to them and removes them afterwards. INFLUXDB_IMAGE and GRAFANA_IMAGE
stand in for the images of compose/monitoring.yaml, as they do there.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import yaml

from spark_apps.cluster.secrets import make_secrets
from spark_apps.cluster.sizing import make_plan
from spark_apps.telemetry.provision import READER_TOKEN, WRITER_TOKEN, Role, provision
from tests.waiting import eventually

REPOSITORY = Path(__file__).resolve().parents[2]
READY_SECONDS = 180
# the memory that `cluster up --memory 9g` gives them on two cores
PLAN = make_plan(9 * 1024, workers=2, datanodes=2, cores=2).environment()
_VARIABLE = re.compile(r"\$\{(\w+):-(.*)\}")


@dataclass(frozen=True)
class Pair:
    """Where they are: URLs, the folder of the secrets, and InfluxDB's container."""

    grafana: str
    influxdb: str
    secrets: Path
    container: str

    @property
    def told(self) -> str:
        """What SHOPSTREAM_TEST_GRAFANA holds for them."""
        return f"{self.grafana} {self.influxdb} {self.secrets}"


@contextmanager
def fresh_pair(**influxdb: str) -> Iterator[Pair]:
    """Starts both and removes them with all that they hold.

    Args:
        influxdb: further settings of InfluxDB, by the names of its environment without INFLUXD_.
    """
    services = yaml.safe_load((REPOSITORY / "compose" / "monitoring.yaml").read_text(encoding="utf-8"))["services"]
    name = f"shopstream-pair-{uuid.uuid4().hex[:8]}"
    with ExitStack() as undo:
        secrets = Path(undo.enter_context(tempfile.TemporaryDirectory(prefix=f"{name}-")))
        make_secrets(secrets)
        docker("network", "create", name)
        undo.callback(docker, "network", "rm", name)
        settings = services["influxdb"]["environment"] | {f"INFLUXD_{key}": text for key, text in influxdb.items()}
        store = _Container(name, "influxdb", 8086, services["influxdb"] | {"environment": settings})
        undo.callback(store.remove)
        roles = [Role("write", secrets / WRITER_TOKEN), Role("read", secrets / READER_TOKEN)]
        for _ in provision(store.url, secrets, roles, READY_SECONDS):
            pass
        grafana = _Container(name, "grafana", 3000, services["grafana"], _mounts(secrets))
        undo.callback(grafana.remove)
        eventually(lambda: _is_ready(grafana.url), "Grafana is ready", READY_SECONDS)
        yield Pair(grafana.url, store.url, secrets, store.id)


def docker(*arguments: str) -> str:
    """Runs a docker command and returns its output."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"docker {' '.join(arguments)[:300]}: {done.stderr[-1000:]}"
    return done.stdout


class _Container:
    """A service of the compose file in a container of its own, on a free port of 127.0.0.1."""

    def __init__(
        self, pair: str, service: str, port: int, told: Mapping[str, Any], mounts: tuple[str, ...] = ()
    ) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.url = f"http://127.0.0.1:{free.getsockname()[1]}"
        program, *words = [*told["entrypoint"], *told["command"]]
        settings = [
            part for name, value in told["environment"].items() for part in ("--env", f"{name}={_plain(value)}")
        ]
        self.id = docker(
            *("run", "--detach", "--name", f"{pair}-{service}", "--network", pair, "--network-alias", service),
            *(
                "--user",
                told["user"],
                "--cap-drop",
                "ALL",
                "--memory",
                PLAN[f"SHOPSTREAM_{service.upper()}_LIMIT"],
                *settings,
                *mounts,
            ),
            *("--publish", f"{self.url.removeprefix('http://')}:{port}", "--entrypoint", program),
            *(_plain(told["image"]), *words),
        ).strip()

    def remove(self) -> None:
        docker("rm", "--force", "--volumes", self.id)


def _plain(value: str) -> str:
    """A value of the compose file, as compose itself reads it."""
    variable = _VARIABLE.fullmatch(str(value))
    return (os.environ.get(variable[1]) or variable[2]) if variable else str(value).replace("$$", "$")


def _mounts(secrets: Path) -> tuple[str, ...]:
    """Dashboards and rules of this copy, and the secrets that Grafana's own user must be able to read."""
    for path in (secrets, *secrets.iterdir()):
        path.chmod(0o755 if path.is_dir() else 0o444)
    places = {
        secrets: "/run/shopstream/secrets",
        secrets / READER_TOKEN: f"/run/shopstream/reader/{READER_TOKEN}",
        REPOSITORY / "grafana": "/etc/shopstream/grafana",
    }
    return tuple(part for path, place in places.items() for part in ("--volume", f"{path}:{place}:ro"))


def _is_ready(url: str) -> bool:
    try:
        return requests.get(f"{url}/api/health", timeout=5).ok
    except requests.RequestException:
        return False


def main(command: list[str]) -> int:
    """Runs a command beside a pair and returns its exit code."""
    with fresh_pair() as pair:
        return subprocess.run(command, env=os.environ | {"SHOPSTREAM_TEST_GRAFANA": pair.told}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
