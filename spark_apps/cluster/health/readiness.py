"""Ready means usable: safe mode off, every DataNode live, every worker registered, every one-shot done."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from spark_apps.cluster.compose.project import ONE_SHOTS, Compose, Container
from spark_apps.cluster.config import ClusterConfig
from spark_apps.cluster.health import web
from spark_apps.cluster.health.remedies import remedy_for
from spark_apps.errors import UserError
from spark_apps.platform import http

LOG_LINES = 15
_SEARCHED_LINES, _LINE_LENGTH = 300, 300
_ERROR = re.compile(r"\b(ERROR|FATAL|[A-Za-z.]*(Exception|Error)\b|[Ee]rror:|Traceback)")
_STACK_FRAME = re.compile(r"\s+at [\w.$/]+\(|\s+\.\.\. \d+ more")
_TERMINAL_CODE = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_POLL_SECONDS = 1.0
# a container that Docker restarts by its policy is seen as ended or unhealthy for a moment
_GRACE_SECONDS = 20.0
_ENDED_GRACE_SECONDS = 3.0
_MAX_RESTARTS = 3


@dataclass(frozen=True)
class ServiceState:
    """How far one service is."""

    name: str
    ready: bool
    detail: str


class NotReadyError(UserError):
    """A service failed, or is not ready in time; `lines` are its last log lines."""

    def __init__(self, service: str, what: str, lines: Sequence[str], remedy: str) -> None:
        self.service = service
        self.lines = list(lines)
        super().__init__(f"The service {service} {what}: {remedy}.")


def expected_counts(services: Sequence[str], config: ClusterConfig) -> dict[str, int]:
    """Returns how many containers each service should have."""
    scaled = {"datanode": config.datanodes, "spark-worker": config.workers}
    return {name: scaled.get(name, 1) for name in services}


def states(expected: Mapping[str, int], containers: Sequence[Container], config: ClusterConfig) -> list[ServiceState]:
    """Returns how far each service is: its containers first, then what it answers itself."""
    found = []
    for name, count in expected.items():
        mine = [one for one in containers if one.service == name]
        up = sum(one.ready for one in mine)
        if up < count:
            found.append(ServiceState(name, False, _waiting(mine, up, count)))
        else:
            found.append(_probe(name, count, config))
    return found


def wait_until_ready(
    compose: Compose,
    expected: Mapping[str, int],
    report: Callable[[list[ServiceState]], None],
    still_starting: Callable[[], bool],
    seconds: float,
    matches: Callable[[Container], bool] = lambda container: True,
) -> None:
    """Waits until every service can be used.

    Args:
        compose: the cluster.
        expected: containers per service.
        report: receives all states at each look.
        still_starting: whether `compose up` is still at work, so that containers may yet come or be replaced.
        seconds: how long at most.
        matches: whether a container is one to wait for, and none that Compose is about to replace.

    Raises:
        NotReadyError: naming the service that failed or is late, with its last log lines and the likely remedy.
    """
    config, end = compose.cluster.config(), time.monotonic() + seconds
    failing_since: dict[str, float] = {}
    while True:
        starting = still_starting()  # asked before the look, so that the last look sees all containers
        # once Compose is done, what it left is as it should be
        containers = [one for one in compose.containers() if not starting or matches(one)]
        now = states(expected, containers, config)
        report(now)
        if all(state.ready for state in now) and not starting:
            return
        _refuse_failed(compose, containers, failing_since)
        late = next((state for state in now if not state.ready), now[-1])
        if time.monotonic() > end:
            raise _not_ready(compose, late.name, f"is not ready after {seconds:.0f} s ({late.detail})", containers)
        absent = set(expected) - {one.service for one in containers}
        if not starting and absent:
            raise _not_ready(compose, sorted(absent)[0], "was not started", containers)
        time.sleep(_POLL_SECONDS)


def first_failed(containers: Sequence[Container]) -> Container | None:
    """Returns the container that failed, one-shots first: others wait for them."""
    failed = [one for one in containers if one.failed]
    return min(failed, key=lambda one: not one.one_shot, default=None)


def last_lines(compose: Compose, service: str, lines: int = LOG_LINES) -> list[str]:
    """Returns the log lines of a service that tell most: those about its last error, or its last ones."""
    done = compose.call("logs", "--no-color", "--no-log-prefix", "--tail", str(_SEARCHED_LINES), service)
    plain = (_TERMINAL_CODE.sub("", line) for line in (done.stdout + done.stderr).strip().splitlines())
    logged = [line[:_LINE_LENGTH] for line in plain if not _STACK_FRAME.match(line)]
    errors = [place for place, line in enumerate(logged) if _ERROR.search(line)]
    # a service that was started again has logged other things since
    first = max(0, errors[-1] - lines // 3) if errors else max(0, len(logged) - lines)
    return logged[first : first + lines]


def failure_of(compose: Compose, container: Container) -> NotReadyError:
    """Returns the error that names a failed container's service with its log and remedy."""
    lines = last_lines(compose, container.service)
    if container.state == "running":
        what = f"is {container.health or 'running, but not usable'}"
    elif container.state == "restarting":
        what = "keeps ending and being restarted"
    else:
        what = f"ended with exit code {container.exit_code}"
    return NotReadyError(container.service, what, lines, remedy_for("\n".join(lines), container.exit_code))


def _refuse_failed(compose: Compose, containers: Sequence[Container], since: dict[str, float]) -> None:
    """Raises for a container that has been failing for longer than a restart takes."""
    now = time.monotonic()
    restarted = _restarted(compose, [one for one in containers if not one.ready])
    if restarted is not None:
        raise failure_of(compose, replace(restarted, state="restarting"))
    failed = {one.id: one for one in containers if one.failed}
    for gone in set(since) - set(failed):
        del since[gone]
    for container in sorted(failed.values(), key=lambda one: not one.one_shot):
        grace = _ENDED_GRACE_SECONDS if container.state in ("exited", "dead") else _GRACE_SECONDS
        if now - since.setdefault(container.id, now) >= grace:
            raise failure_of(compose, container)


def _restarted(compose: Compose, late: Sequence[Container]) -> Container | None:
    """Returns a container that Docker has started again and again: between two ends it looks as if it were starting."""
    ids = [one.id for one in late if one.state in ("running", "restarting")]
    if not ids:
        return None
    counts = compose.docker.call("inspect", "--format", "{{.Id}} {{.RestartCount}}", *ids).stdout.splitlines()
    often = [line.split()[0] for line in counts if int(line.split()[1]) >= _MAX_RESTARTS]
    return next((one for one in late if any(identity.startswith(one.id) for identity in often)), None)


def _not_ready(compose: Compose, service: str, what: str, containers: Sequence[Container]) -> NotReadyError:
    failed = first_failed(containers)
    if failed is not None:
        return failure_of(compose, failed)
    lines = last_lines(compose, service)
    return NotReadyError(service, what, lines, remedy_for("\n".join(lines)))


def _waiting(mine: Sequence[Container], up: int, count: int) -> str:
    if not mine:
        return "not there yet"
    if count > 1:
        return f"{up} of {count} up"
    one = mine[0]
    if one.service in ONE_SHOTS:
        return "at work" if one.state == "running" else one.state
    return one.health or one.state


def _probe(name: str, count: int, config: ClusterConfig) -> ServiceState:
    """Asks a service whose container is up whether it can be used."""
    if name in ONE_SHOTS:
        return ServiceState(name, True, "done")
    probe = _PROBES.get(name)
    if probe is None:
        return ServiceState(name, True, "up")
    ready, detail = probe(config, count)
    return ServiceState(name, ready, detail)


def _namenode(config: ClusterConfig, count: int) -> tuple[bool, str]:
    node = web.namenode(config)
    if node is None:
        return False, "does not answer yet"
    return not node.safe_mode, "in safe mode" if node.safe_mode else "safe mode off"


def _datanodes(config: ClusterConfig, count: int) -> tuple[bool, str]:
    node = web.namenode(config)
    live, drained = (node.live, len(node.datanodes) - node.live) if node else (0, 0)
    missing = f", {drained} drained" if drained and live < count else ""
    return live >= count, f"{live} of {count} live{missing}"


def _master(config: ClusterConfig, count: int) -> tuple[bool, str]:
    up = web.spark_master(config) is not None
    return up, "answers" if up else "does not answer yet"


def _workers(config: ClusterConfig, count: int) -> tuple[bool, str]:
    master = web.spark_master(config)
    alive = len(master.alive) if master else 0
    return alive >= count, f"{alive} of {count} registered"


def _page(port: str, path: str) -> Callable[[ClusterConfig, int], tuple[bool, str]]:
    def probe(config: ClusterConfig, count: int) -> tuple[bool, str]:
        page = http.get(config.url(port) + path)
        up = page is not None and page.ok
        return up, "answers" if up else "does not answer yet"

    return probe


_PROBES: dict[str, Callable[[ClusterConfig, int], tuple[bool, str]]] = {
    "namenode": _namenode,
    "datanode": _datanodes,
    "spark-master": _master,
    "spark-worker": _workers,
    "history-server": _page("HISTORY", "/api/v1/applications?limit=1"),
    "influxdb": _page("INFLUXDB", "/health"),
    "grafana": _page("GRAFANA", "/api/health"),
}
