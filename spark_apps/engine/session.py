"""The only place that builds a SparkSession."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

from pyspark import SparkContext
from pyspark.sql import SparkSession

from spark_apps.engine.spills import open_spills
from spark_apps.java import find_java
from spark_apps.settings import Settings, table_root
from spark_apps.threads import local_cores, one_native_thread

# The same on a laptop and in the cluster: what decides results.
_RESULT_CONF = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.parquet.compression.codec": "zstd",
    "spark.sql.sources.partitionColumnTypeInference.enabled": "true",
}

# What decides speed, and what a person sees.
_SPEED_CONF = {
    "spark.ui.showConsoleProgress": "false",
    "spark.serializer": "org.apache.spark.serializer.KryoSerializer",
    "spark.sql.adaptive.enabled": "true",
    # one open Parquet file per date and task instead of a sort of everything by date
    "spark.sql.maxConcurrentOutputFileWriters": "64",
    "spark.sql.execution.arrow.maxRecordsPerBatch": "65536",
    # so many bytes mean no bound: with one, Spark 4.1 measures the whole batch again after each row of it
    "spark.sql.execution.arrow.maxBytesPerBatch": "2147483647",
    "spark.sql.autoBroadcastJoinThreshold": "32m",
    # sets per user stay in hash maps for so many users of a partition before they are sorted instead
    "spark.sql.objectHashAggregate.sortBased.fallbackThreshold": "65536",
    # a NameNode that is away or in safe mode for a while is waited for
    "spark.hadoop.dfs.client.retry.policy.enabled": "true",
    "spark.hadoop.mapreduce.fileoutputcommitter.marksuccessfuljobs": "false",
    # without checksum files beside each local file: Hadoop starts a chmod process for each file it makes
    "spark.hadoop.fs.file.impl": "org.apache.hadoop.fs.RawLocalFileSystem",
}

# What decides the speed of one job alone. Micro-batches of seconds never win back what compiling their expressions
# costs: with other literals they are other classes in each batch, compiled to bytecode by Spark and then by Java.
_JOB_CONF = {"stream": {"spark.sql.codegen.wholeStage": "false", "spark.sql.codegen.factoryMode": "NO_CODEGEN"}}


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
    table_root(settings).exists()
    if SparkContext._active_spark_context is not None:
        raise RuntimeError("This process has a Spark session already: use it, or start another process.")
    with open_spills(settings, "spark") as spills:
        spark = build_session(settings, job, spills)
        try:
            yield spark
        finally:
            spark.stop()


def build_session(settings: Settings, job: str, spills: Path) -> SparkSession:
    """Builds a Spark session that spills into a folder of the caller's; `spark_session` is the usual way."""
    _point_to_interpreters()
    if settings.hdfs_user:
        os.environ["HADOOP_USER_NAME"] = settings.hdfs_user  # the JVM writes as whom WebHDFS does
    builder = SparkSession.builder.appName(f"shopstream {job}").master(settings.master)
    conf = {**_RESULT_CONF, **_SPEED_CONF, **_JOB_CONF.get(job, {}), **_local_conf(settings, spills)}
    if settings.replication:
        conf["spark.hadoop.dfs.replication"] = str(settings.replication)
    for name, value in conf.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


def _local_conf(settings: Settings, spills: Path) -> dict[str, str]:
    if not settings.master.startswith("local"):
        given = {"spark.sql.shuffle.partitions": settings.shuffle_partitions, "spark.cores.max": settings.most_cores}
        return {name: str(value) for name, value in given.items() if value}
    return {
        "spark.driver.memory": settings.driver_memory,
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": str(settings.spark_ui).lower(),
        "spark.sql.shuffle.partitions": str(settings.shuffle_partitions or 4 * local_cores(settings.master)),
        "spark.local.dir": str(spills),
        "spark.driver.extraJavaOptions": _java_options(settings),
    }


def _java_options(settings: Settings) -> str:
    """Spark's own log stays silent unless debugging: errors come back as exceptions and are told once."""
    log = resources.files("spark_apps") / "log4j2.properties"
    level = "warn" if settings.debug else "off"
    return f'-XX:+UseParallelGC -XX:-UsePerfData "-Dlog4j2.configurationFile={log}" -Dshopstream.log.level={level}'


def _point_to_interpreters() -> None:
    """Drivers and workers use this Python; the JVM is the one that was checked."""
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    os.environ["JAVA_HOME"] = str(find_java())
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    one_native_thread()  # each task: Spark runs as many tasks as there are cores
