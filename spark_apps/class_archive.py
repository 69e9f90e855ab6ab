"""The JVM's own archive of loaded classes, from which every later local run starts and warms up faster.

The first long job of an environment records it when its JVM ends; what a JVM cannot use (another version of
Java, other jars) it notices by itself and goes without. Figures are in docs/results.md.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyspark
from pyspark import SparkContext

from spark_apps.java import find_java
from spark_apps.progress import step
from spark_apps.workspace import Workspace, opening_lock, sweep_dead

# Jobs that use most of what shopstream uses of Spark.
RECORDING_JOBS = frozenset({"train", "demo", "bench"})
_QUIET = "-Xlog:disable -Xlog:all=error:stderr"
_JVM_EXIT_SECONDS = 120.0


@contextmanager
def class_archive(job: str) -> Iterator[str]:
    """Yields the options of a local JVM that is yet to start: to use the archive, or else to record one.

    A recording ends with the JVM, which is therefore stopped when the body has ended without an error.

    Args:
        job: the command's name; only RECORDING_JOBS record.
    """
    archive = archive_file()
    if archive.is_file():
        yield f'"-XX:SharedArchiveFile={archive}" {_QUIET}'
    elif job not in RECORDING_JOBS or SparkContext._gateway is not None or not _writable(archive.parent):
        yield ""
    else:
        with opening_lock(archive.parent):
            sweep_dead(archive.parent)
            workspace = Workspace(archive.parent)
        try:
            draft = workspace.folder / archive.name
            yield f'"-XX:ArchiveClassesAtExit={draft}" {_QUIET}'
            with step("Keeping classes for next time"):
                if _stop_jvm() == 0 and draft.is_file():
                    draft.replace(archive)
        except BaseException:
            _kill_jvm()  # at its own end it would record into a folder that is gone, and complain on the terminal
            raise
        finally:
            workspace.close()


def archive_file() -> Path:
    """Returns where this environment's archive stands or would stand: one per Java and version of Spark."""
    java = hashlib.sha256(str(find_java()).encode()).hexdigest()[:8]
    return Path(sys.prefix) / "share" / "shopstream" / f"classes-{pyspark.__version__}-{java}.jsa"


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False  # somebody else's environment: it is used as it is
    return os.access(folder, os.W_OK)


def _kill_jvm() -> None:
    gateway = SparkContext._gateway
    if gateway is not None:
        SparkContext._gateway = SparkContext._jvm = None
        gateway.proc.kill()
        gateway.proc.wait()


def _stop_jvm() -> int | None:
    """Ends the JVM behind PySpark, whose exit writes the archive.

    Returns:
        Its exit code; None where there is no JVM, or where a busy machine had to be spared the rest of the recording.
    """
    gateway = SparkContext._gateway
    if gateway is None:
        return None
    SparkContext._gateway = SparkContext._jvm = None
    process = gateway.proc  # set by PySpark's launcher
    gateway.shutdown()
    process.stdin.close()
    try:
        return int(process.wait(_JVM_EXIT_SECONDS))
    except subprocess.TimeoutExpired:
        process.kill()  # the job's results are published: the next one records
        process.wait()
        return None
