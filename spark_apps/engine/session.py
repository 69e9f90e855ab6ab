"""The only place that builds a SparkSession."""

from __future__ import annotations

import locale
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

import pyspark
from pyspark import SparkContext
from pyspark.sql import SparkSession

from spark_apps.engine.spills import open_spills
from spark_apps.errors import UserError
from spark_apps.runtime.java import find_java
from spark_apps.runtime.threads import local_cores, one_native_thread
from spark_apps.settings import Settings, table_root

# The same on a laptop and in the cluster: what decides results.
_RESULT_CONF = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.parquet.compression.codec": "zstd",
}

# What decides speed, and what a person sees.
_SPEED_CONF = {
    "spark.ui.showConsoleProgress": "false",
    "spark.serializer": "org.apache.spark.serializer.KryoSerializer",
    "spark.sql.adaptive.enabled": "true",
    "spark.sql.execution.arrow.maxRecordsPerBatch": "65536",
    # so many bytes mean no bound: with one, Spark 4.1 measures the whole batch again after each row of it
    "spark.sql.execution.arrow.maxBytesPerBatch": "2147483647",
    # a NameNode that is away or in safe mode for a while is waited for
    "spark.hadoop.dfs.client.retry.policy.enabled": "true",
    "spark.hadoop.mapreduce.fileoutputcommitter.marksuccessfuljobs": "false",
    # without checksum files beside each local file: Hadoop starts a chmod process for each file it makes
    "spark.hadoop.fs.file.impl": "org.apache.hadoop.fs.RawLocalFileSystem",
}

# Variables of a shell that is set up for other work, as patterns. Kept are: where Spark's programs are, once that is
# beside this PySpark; a person's own options of Java for Spark; and, on Windows, Hadoop's programs.
_OTHER_PROGRAMS = "PYSPARK_SUBMIT_ARGS|SPARK_REMOTE|SPARK_API_MODE|SPARK_CONNECT_MODE.*"
_OTHER_SPARK = "(SPARK|PYSPARK)_.*|_JAVA_OPTIONS|JAVA_TOOL_OPTIONS|JDK_JAVA_OPTIONS|CLASSPATH|ARROW_PRE_0_15_IPC_FORMAT"
_OTHER_HADOOP = "(HADOOP|YARN|HDFS|HIVE)_.*"
_KEPT = {"SPARK_HOME", "SPARK_SUBMIT_OPTS", *(["HADOOP_HOME"] if sys.platform == "win32" else [])}


@contextmanager
def spark_session(settings: Settings, job: str) -> Iterator[SparkSession]:
    """Opens the Spark session of one job and stops it afterwards, with its spill files.

    Args:
        settings: the run's settings.
        job: the command's name; the application is called `shopstream <job>`.

    Raises:
        JavaMissingError: when a local session is wanted and no usable Java is found.
        HdfsUnreachableError: when the root's NameNode does not answer; no JVM is started for that.
        RuntimeError: when this process has a session, which this one's end would stop.
    """
    root = table_root(settings)
    root.exists()
    if isinstance(root, Path):
        _refuse_unreadable(root)
    if SparkContext._active_spark_context is not None:
        raise RuntimeError("This process has a Spark session already: use it, or start another process.")
    # Spark takes a comma in its folder's name for the end of the name
    with open_spills(settings, "spark", beside_tables="," not in str(root)) as spills:
        spark = _build_session(settings, job, spills)
        try:
            yield spark
        finally:
            spark.stop()


def _build_session(settings: Settings, job: str, spills: Path) -> SparkSession:
    _forget_other_sparks(settings)
    _point_to_interpreters()
    if settings.hdfs_user:
        os.environ["HADOOP_USER_NAME"] = settings.hdfs_user  # the JVM writes as whom WebHDFS does
    builder = SparkSession.builder.appName(f"shopstream {job}").master(settings.master)
    conf = {**_RESULT_CONF, **_SPEED_CONF, **_local_conf(settings, spills)}
    if settings.replication:
        conf["spark.hadoop.dfs.replication"] = str(settings.replication)
    for name, value in conf.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


def _local_conf(settings: Settings, spills: Path) -> dict[str, str]:
    if not settings.master.startswith("local"):
        given = {"spark.sql.shuffle.partitions": settings.shuffle_partitions, "spark.cores.max": settings.most_cores}
        return {name: str(value) for name, value in given.items() if value}
    here = {"spark.hadoop.fs.defaultFS": "file:///", "spark.sql.warehouse.dir": str(spills / "warehouse")}
    return {
        **(here if isinstance(table_root(settings), Path) else {}),
        "spark.driver.memory": settings.driver_memory,
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": str(settings.spark_ui).lower(),
        "spark.sql.shuffle.partitions": str(settings.shuffle_partitions or 4 * local_cores(settings.master)),
        "spark.local.dir": str(spills),
        "spark.driver.extraJavaOptions": _java_options(settings, spills),
    }


def _java_options(settings: Settings, spills: Path) -> str:
    """Spark's own log stays silent unless debugging: errors come back as exceptions and are told once."""
    log = resources.files("spark_apps") / "log4j2.properties"
    level = "warn" if settings.debug else "off"
    files = f"{_quoted(f'-Dlog4j2.configurationFile={log}')} {_quoted(f'-Djava.io.tmpdir={spills}')}"
    return f"-XX:+UseParallelGC -XX:-UsePerfData {files} -Dshopstream.log.level={level}"


def _quoted(option: str) -> str:
    """One option as Spark's launcher takes it out of many."""
    escaped = option.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _refuse_unreadable(root: Path) -> None:
    """Hadoop takes what stands before a colon for a scheme, but only where it looks for patterns."""
    if ":" in root.as_posix()[len(root.drive) :] and any(letter in root.as_posix() for letter in "{}[]*?\\"):
        raise UserError(
            f"Spark cannot read files below {root}, whose name has a colon and one of {{}}[]*?\\: choose another "
            "--root, or leave out --engine spark and --master."
        )


def _forget_other_sparks(settings: Settings) -> None:
    """Takes out of this process's environment what a shell has for another Spark, Hadoop or Java.

    On a cluster the environment says how it is reached, and is kept, but for another Spark's programs.
    """
    os.environ["SPARK_HOME"] = str(Path(pyspark.__file__).parent)
    gone = _OTHER_PROGRAMS
    if settings.master.startswith("local"):
        on_hdfs = not isinstance(table_root(settings), Path)
        gone = _OTHER_SPARK if on_hdfs else f"{_OTHER_SPARK}|{_OTHER_HADOOP}"
    for name in [name for name in os.environ if re.fullmatch(gone, name) and name not in _KEPT]:
        del os.environ[name]
    if sys.platform == "linux" and sys.getfilesystemencoding() == "utf-8" and not _in_utf8():
        os.environ["LC_ALL"] = "C.UTF-8"


def _in_utf8() -> bool:
    """Says whether file names are UTF-8 for Java too, which goes by the locale; Python does not in the locale C."""
    return locale.nl_langinfo(locale.CODESET).upper() in ("UTF-8", "UTF8")


def _point_to_interpreters() -> None:
    """Drivers and workers use this Python; the JVM is the one that was checked."""
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    os.environ["JAVA_HOME"] = str(find_java())
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    one_native_thread()  # each task: Spark runs as many tasks as there are cores
