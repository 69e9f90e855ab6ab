"""Spark's master, worker, history server and client: their configuration, and how they start."""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path

import hadoop
from common import ADDRESS, EVERYWHERE, become, empty, secret, setting, take_slot, write

CONF = Path("/etc/spark")
STATE = Path("/var/lib/spark")
MASTER = "spark://spark-master:7077"
EVENTS = "hdfs://namenode:8020/spark-events"
# a container that comes back has another address
JAVA_OPTIONS = "-XX:-UsePerfData -Dsun.net.inetaddr.ttl=5"
# daemons do little: they start sooner without the compiler for long loops
DAEMON_OPTIONS = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:+ExitOnOutOfMemoryError")
DEPLOY = "org.apache.spark.deploy"

# no dates that Docker's own log has already; what a job says goes to stderr, so that its result can be piped
LOG4J = """\
rootLogger.level = {level}
rootLogger.appenderRef.stderr.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{{yy/MM/dd HH:mm:ss}} %p %c{{1}}: %m%n%ex
logger.native.name = org.apache.hadoop.util.NativeCodeLoader
logger.native.level = error
"""

METRICS = """\
*.sink.prometheusServlet.class=org.apache.spark.metrics.sink.PrometheusServlet
*.sink.prometheusServlet.path=/metrics/prometheus
master.sink.prometheusServlet.path=/metrics/master/prometheus
applications.sink.prometheusServlet.path=/metrics/applications/prometheus
*.source.jvm.class=org.apache.spark.metrics.source.JvmSource
"""

# read by every spark-submit, also by one that Python starts
SPARK_ENV = """\
export SPARK_LOCAL_DIRS={local}
# workers and the master reach this driver and its pages from other containers
{listen}
"""
# Fixed on a shared network, so that a firewall can name them; each is the first of a hundred that are tried.
PORTS = {"spark.driver.port": "7200", "spark.blockManager.port": "7300", "spark.port.maxRetries": "99"}
WORKER_PORT = "7078"


def common_settings() -> dict[str, str]:
    """Returns what every process of Spark in the cluster must agree on."""
    return {
        "spark.authenticate": "true",
        "spark.authenticate.secret": secret("spark_auth"),
        "spark.network.crypto.enabled": "true",
        "spark.network.crypto.authEngineVersion": "2",
        "spark.network.crypto.cipher": "AES/GCM/NoPadding",
        "spark.io.encryption.enabled": "true",
        "spark.master.rest.enabled": "false",
        "spark.ui.prometheus.enabled": "true",
        # a worker told to go (SIGPWR) takes no new task, and its blocks move to the others
        "spark.decommission.enabled": "true",
        "spark.storage.decommission.enabled": "true",
        "spark.storage.decommission.shuffleBlocks.enabled": "true",
        "spark.storage.decommission.rddBlocks.enabled": "true",
        "spark.ui.killEnabled": "false",
        # every page of workers and drivers is reached through the master's, the one with a port on the host
        "spark.ui.reverseProxy": "true",
        "spark.ui.reverseProxyUrl": setting("SHOPSTREAM_SPARK_URL"),
    }


def client_settings() -> dict[str, str]:
    """Returns the defaults of a job that is submitted from this container."""
    java_options = f"{JAVA_OPTIONS} {os.environ.get('SHOPSTREAM_JAVA_OPTIONS', '')}".rstrip()
    return {
        "spark.master": setting("SHOPSTREAM_MASTER", MASTER),
        "spark.driver.host": ADDRESS or socket.gethostname(),
        "spark.driver.bindAddress": ADDRESS or EVERYWHERE,
        **(PORTS if ADDRESS else {}),
        "spark.driver.memory": setting("SHOPSTREAM_DRIVER_MEMORY"),
        "spark.executor.memory": setting("SHOPSTREAM_EXECUTOR_MEMORY"),
        "spark.executor.memoryOverhead": setting("SHOPSTREAM_EXECUTOR_OVERHEAD"),
        "spark.executor.cores": setting("SHOPSTREAM_WORKER_CORES"),
        "spark.driver.extraJavaOptions": java_options,
        "spark.executor.extraJavaOptions": java_options,
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": EVENTS,
        "spark.eventLog.compress": "true",
        # no executor stands beside a DataNode: waiting for one that does is in vain
        "spark.locality.wait": "0s",
        **{f"spark.executorEnv.{library}_NUM_THREADS": "1" for library in ("OPENBLAS", "OMP", "MKL")},
    }


def write_conf(settings: dict[str, str], level: str = "info") -> None:
    """Writes Spark's configuration, which carries the cluster's secret, and what it must know of HDFS."""
    lines = [f"{name} {value}\n" for name, value in sorted(settings.items())]
    write(CONF / "spark-defaults.conf", "".join(lines), 0o400)
    write(CONF / "log4j2.properties", LOG4J.format(level=level))
    write(CONF / "metrics.properties", METRICS)
    hadoop.write_conf(hadoop.client_settings())


def become_daemon(main_class: str, *arguments: str) -> None:
    """Turns this process into one of Spark's daemons."""
    become(
        [f"{os.environ['SPARK_HOME']}/bin/spark-class", f"{DEPLOY}.{main_class}", *arguments],
        **({"SPARK_LOCAL_IP": ADDRESS} if ADDRESS else {}),
        SPARK_DAEMON_MEMORY=setting("SHOPSTREAM_HEAP"),
        SPARK_DAEMON_JAVA_OPTS=" ".join([*DAEMON_OPTIONS, JAVA_OPTIONS]),
    )


def run_master(_: list[str]) -> int:
    """Becomes Spark's master."""
    # one that is gone is not worth more than a glance
    settings = {"spark.worker.timeout": "30", "spark.dead.worker.persistence": "1"}
    if os.environ.get("SHOPSTREAM_MASTER_RECOVERY"):
        # a master that starts again, as in a rolling upgrade, finds workers and running applications again
        settings |= {"spark.deploy.recoveryMode": "FILESYSTEM", "spark.deploy.recoveryDirectory": str(STATE / "master")}
    write_conf(common_settings() | settings)
    become_daemon("master.Master", "--host", "spark-master", "--port", "7077", "--webui-port", "8080")


def run_worker(_: list[str]) -> int:
    """Becomes a worker with scratch space of its own on the workers' volume."""
    folder = take_slot(STATE)
    os.environ["SPARK_WORKER_DIR"] = str(empty(folder / "work"))
    os.environ["SPARK_LOCAL_DIRS"] = str(empty(folder / "local"))
    write_conf(common_settings() | {"spark.worker.cleanup.enabled": "true"})
    address = ["--host", ADDRESS or socket.gethostname(), "--webui-port", "8081"]
    if ADDRESS:
        address += ["--port", WORKER_PORT]
    size = ["--cores", setting("SHOPSTREAM_WORKER_CORES"), "--memory", setting("SHOPSTREAM_WORKER_MEMORY")]
    become_daemon("worker.Worker", *address, *size, setting("SHOPSTREAM_MASTER", MASTER))


def run_history_server(_: list[str]) -> int:
    """Becomes the server that shows finished jobs."""
    history = {
        "spark.history.fs.logDirectory": EVENTS,
        "spark.history.fs.update.interval": "5s",
        "spark.history.ui.port": "18080",
        "spark.history.retainedApplications": "10",
    }
    write_conf(common_settings() | history)
    become_daemon("history.HistoryServer")


def run_client(arguments: list[str]) -> int:
    """Makes this a place to submit jobs from: runs the command given, or stays until it is stopped."""
    local = empty(take_slot(STATE) / "local")
    write_conf(common_settings() | client_settings(), level="warn")
    listen = f"export SPARK_LOCAL_IP={ADDRESS}" if ADDRESS else "unset SPARK_LOCAL_IP"
    write(CONF / "spark-env.sh", SPARK_ENV.format(local=local, listen=listen))
    if arguments:
        become(arguments)
    print("Ready to submit jobs.", file=sys.stderr)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    return 0
