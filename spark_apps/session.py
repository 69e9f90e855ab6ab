"""The only place that builds a SparkSession."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pyspark.sql import SparkSession

from spark_apps.java import find_java
from spark_apps.settings import Settings

# The same on a laptop and in the cluster: what decides results.
_RESULT_CONF = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.parquet.compression.codec": "zstd",
    "spark.sql.sources.partitionColumnTypeInference.enabled": "true",
}

# What decides speed.
_SPEED_CONF = {
    "spark.serializer": "org.apache.spark.serializer.KryoSerializer",
    "spark.sql.adaptive.enabled": "true",
    # one open Parquet file per date and task instead of a sort of everything by date
    "spark.sql.maxConcurrentOutputFileWriters": "64",
    "spark.sql.execution.arrow.maxRecordsPerBatch": "65536",
    "spark.sql.autoBroadcastJoinThreshold": "32m",
    "spark.hadoop.mapreduce.fileoutputcommitter.marksuccessfuljobs": "false",
    # without checksum files beside each local file: Hadoop starts a chmod process for each file it makes
    "spark.hadoop.fs.file.impl": "org.apache.hadoop.fs.RawLocalFileSystem",
}


@contextmanager
def spark_session(settings: Settings, job: str) -> Iterator[SparkSession]:
    """Opens the Spark session of one job and stops it afterwards.

    Args:
        settings: the run's settings.
        job: the command's name; the application is called `shopstream <job>`.

    Raises:
        JavaMissingError: when a local session is wanted and no usable Java is found.
    """
    spark = build_session(settings, job)
    try:
        yield spark
    finally:
        spark.stop()


def build_session(settings: Settings, job: str) -> SparkSession:
    """Builds (or returns this process's) Spark session; `spark_session` is the usual way."""
    _point_to_interpreters()
    builder = SparkSession.builder.appName(f"shopstream {job}").master(settings.master)
    for name, value in {**_RESULT_CONF, **_SPEED_CONF, **_local_conf(settings)}.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def local_cores(master: str) -> int:
    """Returns the cores that a local master uses; for another master, this machine's."""
    inside = master.removeprefix("local[").removesuffix("]").split(",")[0]
    return int(inside) if inside.isdigit() else (os.cpu_count() or 1)


def _local_conf(settings: Settings) -> dict[str, str]:
    if not settings.master.startswith("local"):
        return {}
    return {
        "spark.driver.memory": settings.driver_memory,
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": str(settings.spark_ui).lower(),
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.shuffle.partitions": str(settings.shuffle_partitions or 4 * local_cores(settings.master)),
        "spark.local.dir": str(_scratch_folder(settings)),
        "spark.driver.extraJavaOptions": "-XX:+UseParallelGC -XX:-UsePerfData",
        # workers live as long as the application: starting Python once is enough
        "spark.python.worker.reuse": "true",
    }


def _scratch_folder(settings: Settings) -> Path:
    """Spills go beside the tables, not to /tmp, which is often small."""
    folder = Path(settings.root).expanduser().absolute() / "temp" / "spark"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _point_to_interpreters() -> None:
    """Drivers and workers use this Python; the JVM is the one that was checked."""
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    os.environ["JAVA_HOME"] = str(find_java())
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    # one thread per task: Spark runs as many tasks as there are cores
    for library in ("OPENBLAS", "OMP", "MKL"):
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")
