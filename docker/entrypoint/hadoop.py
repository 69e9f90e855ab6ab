"""NameNode and DataNode: their configuration, and the format of a new HDFS."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from xml.sax.saxutils import escape

from common import ADDRESS, EVERYWHERE, SECRETS, StartError, become, setting, take_slot, write

CONF = Path("/etc/hadoop")
STATE = Path("/var/lib/hdfs")
NAME_DIR = STATE / "name"
EXCLUDE = STATE / "exclude"
SERVER = "org.apache.hadoop.hdfs.server"

LOG4J = """\
log4j.rootLogger=${hadoop.root.logger}
log4j.appender.console=org.apache.log4j.ConsoleAppender
log4j.appender.console.target=System.err
log4j.appender.console.layout=org.apache.log4j.PatternLayout
log4j.appender.console.layout.ConversionPattern=%d{ISO8601} %p %c{2}: %m%n
log4j.logger.org.apache.hadoop.util.NativeCodeLoader=ERROR
hadoop.root.logger=INFO,console
"""


def client_settings() -> dict[str, dict[str, str]]:
    """Returns what clients of HDFS need to know, by file."""
    return {
        "core-site.xml": {
            "fs.defaultFS": "hdfs://namenode:8020",
            "ipc.client.connect.timeout": "5000",
        },
        "hdfs-site.xml": {
            # a job is told its own number; a drained DataNode may go when its blocks have two other copies, even those
            # of files that ask for three because their job began while there was one DataNode more
            "dfs.replication": "2",
            # a NameNode that starts again or is in safe mode is waited for: 2 minutes
            "dfs.client.retry.policy.enabled": "true",
            "dfs.client.retry.policy.spec": "1000,30,3000,30",
            # with few DataNodes there is none to replace a lost one with: go on with those left
            "dfs.client.block.write.replace-datanode-on-failure.enable": "true",
            "dfs.client.block.write.replace-datanode-on-failure.policy": "DEFAULT",
            "dfs.client.block.write.replace-datanode-on-failure.best-effort": "true",
        },
    }


def server_settings() -> dict[str, dict[str, str]]:
    """Returns the configuration of NameNode and DataNode, by file."""
    files = client_settings()
    files["core-site.xml"] |= {
        "fs.trash.interval": "0",
        "hadoop.http.staticuser.user": "browser",
        "hadoop.http.authentication.signature.secret.file": str(SECRETS / "hadoop_http_secret"),
        # groups of the users that there are: the NameNode asks no operating system
        "hadoop.user.group.static.mapping.overrides": "hdfs=supergroup,shopstream;spark=shopstream;browser=shopstream;",
        "hadoop.prometheus.endpoint.enabled": "true",
    }
    files["hdfs-site.xml"] |= {
        "dfs.permissions.enabled": "true",
        "dfs.permissions.superusergroup": "supergroup",
        "dfs.webhdfs.enabled": "true",
        "dfs.namenode.rpc-address": "namenode:8020",
        "dfs.namenode.rpc-bind-host": ADDRESS or EVERYWHERE,
        "dfs.namenode.http-address": "namenode:9870",
        "dfs.namenode.http-bind-host": ADDRESS or EVERYWHERE,
        "dfs.namenode.name.dir": NAME_DIR.as_uri(),
        # DataNodes come and go: their addresses have no names that the NameNode could look up
        "dfs.namenode.datanode.registration.ip-hostname-check": "false",
        "dfs.hosts.exclude": str(EXCLUDE),
        # any free port: an excluded DataNode is known by address and port, and its address goes to the next container
        "dfs.datanode.address": "0.0.0.0:0",
        "dfs.namenode.safemode.min.datanodes": "1",
        "dfs.namenode.safemode.extension": "2000",
        # a DataNode is stale after 10 s without a word and dead after twice the recheck and ten heartbeats: 40 s
        "dfs.heartbeat.interval": "2",
        "dfs.namenode.heartbeat.recheck-interval": setting("SHOPSTREAM_HDFS_RECHECK_MS", "10000"),
        "dfs.namenode.stale.datanode.interval": "10000",
        "dfs.namenode.avoid.read.stale.datanode": "true",
        "dfs.namenode.avoid.write.stale.datanode": "true",
        "dfs.namenode.decommission.interval": "5",
        # a file that a killed job left open, such as its event log, is closed after 5 minutes
        "dfs.namenode.lease-hard-limit-sec": "300",
        "dfs.namenode.reconstruction.pending.timeout-sec": "60",
    }
    if os.environ.get("SHOPSTREAM_HDFS_ENCRYPTION"):
        # without Kerberos a client gets the key unencrypted from the NameNode: this keeps out who only sees the data
        files["hdfs-site.xml"] |= {
            "dfs.block.access.token.enable": "true",
            "dfs.encrypt.data.transfer": "true",
            "dfs.encrypt.data.transfer.cipher.suites": "AES/CTR/NoPadding",
        }
    return files


def datanode_settings(folder: Path) -> dict[str, str]:
    """Returns what is one DataNode's own: its folders and, on a shared network, its address."""
    disks = os.environ.get("SHOPSTREAM_DATA_DISKS", "").split() or [str(folder)]
    mine = {"dfs.datanode.data.dir": ",".join((Path(disk) / "data").as_uri() for disk in disks)}
    if not ADDRESS:
        return mine
    return mine | {
        "dfs.datanode.hostname": ADDRESS,
        "dfs.datanode.address": f"{ADDRESS}:9866",
        "dfs.datanode.http.address": f"{ADDRESS}:9864",
        "dfs.datanode.ipc.address": f"{ADDRESS}:9867",
    }


def write_conf(files: dict[str, dict[str, str]]) -> None:
    """Writes Hadoop's configuration files."""
    for name, properties in files.items():
        lines = [
            f"  <property><name>{escape(key)}</name><value>{escape(value)}</value></property>"
            for key, value in sorted(properties.items())
        ]
        write(CONF / name, "\n".join(['<?xml version="1.0"?>', "<configuration>", *lines, "</configuration>", ""]))
    write(CONF / "log4j.properties", LOG4J)


def java(main_class: str, *arguments: str, heap: str) -> list[str]:
    """Returns the command line of one of Hadoop's servers."""
    return [
        f"{os.environ['JAVA_HOME']}/bin/java",
        f"-Xmx{heap}",
        "-XX:+UseSerialGC",
        "-XX:+ExitOnOutOfMemoryError",
        "-XX:-UsePerfData",
        "-Djava.io.tmpdir=/tmp",
        # a container that comes back has another address
        "-Dsun.net.inetaddr.ttl=5",
        "--add-opens=java.base/java.lang=ALL-UNNAMED",
        "-cp",
        f"{CONF}:/opt/hadoop:/opt/hadoop/jars/*",
        main_class,
        *arguments,
    ]


def format_namenode(_: list[str]) -> int:
    """Formats HDFS where there is none yet; data that is there stays as it is.

    Raises:
        StartError: when the folder holds something that is no NameNode's.
    """
    version = NAME_DIR / "current" / "VERSION"
    if version.is_file():
        print(f"HDFS is formatted already ({cluster_id(version)}): nothing to do.")
        return 0
    if NAME_DIR.exists():
        raise StartError(
            f"{NAME_DIR} is there, but {version} is not: this volume is no NameNode's or is damaged, and is left as "
            "it is. Restore it, or remove the volume to start with an empty HDFS"
        )
    draft = STATE / "name.new"
    shutil.rmtree(draft, ignore_errors=True)
    files = server_settings()
    files["hdfs-site.xml"]["dfs.namenode.name.dir"] = draft.as_uri()
    write_conf(files)
    command = java(f"{SERVER}.namenode.NameNode", "-format", "-nonInteractive", heap=setting("SHOPSTREAM_HEAP", "256m"))
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, encoding="utf-8")
    if done.returncode:
        raise StartError("the format failed:\n" + done.stderr[-2000:])
    # a format that was cut off leaves no half of a name folder
    draft.rename(NAME_DIR)
    print(f"HDFS is formatted ({cluster_id(version)}).")
    return 0


def run_namenode(_: list[str]) -> int:
    """Becomes the NameNode.

    Raises:
        StartError: when HDFS was never formatted.
    """
    if not (NAME_DIR / "current" / "VERSION").is_file():
        raise StartError("HDFS is not formatted yet: run the service namenode-format first")
    EXCLUDE.touch(exist_ok=True)
    write_conf(server_settings())
    become(java(f"{SERVER}.namenode.NameNode", heap=setting("SHOPSTREAM_HEAP")))


def run_datanode(_: list[str]) -> int:
    """Becomes a DataNode on the disks it was given, or on the first folder of the volume that no other one uses."""
    folder = take_slot(STATE)
    files = server_settings()
    files["hdfs-site.xml"] |= datanode_settings(folder)
    write_conf(files)
    print(f"DataNode on {folder}", file=sys.stderr)
    become(java(f"{SERVER}.datanode.DataNode", heap=setting("SHOPSTREAM_HEAP")))


def cluster_id(version: Path) -> str:
    """Returns the cluster id in a VERSION file, in Hadoop's own words."""
    lines = version.read_text(encoding="utf-8").splitlines()
    return next((line for line in lines if line.startswith("clusterID=")), "clusterID unknown")
