"""The archive of loaded classes: recorded once, used afterwards, and never in the way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from spark_apps import class_archive

# a process of its own: a JVM reads its options once
_RUN = """
import json, sys
from pathlib import Path
from spark_apps import class_archive
class_archive.archive_file = lambda: Path(sys.argv[1])
class_archive._JVM_EXIT_SECONDS = float(sys.argv[4])
from spark_apps.engine.session import spark_session
from spark_apps.settings import Settings
with spark_session(Settings(root=sys.argv[2], master="local[1]", driver_memory="1g"), sys.argv[3]) as spark:
    arguments = spark._jvm.java.lang.management.ManagementFactory.getRuntimeMXBean().getInputArguments()
    print(json.dumps({"rows": spark.range(7).count(), "options": list(arguments)}))
"""


def run(archive: Path, root: Path, job: str, exit_seconds: float = 120) -> dict[str, Any]:
    command = [sys.executable, "-c", _RUN, str(archive), str(root), job, str(exit_seconds)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.long
def test_a_long_job_records_an_archive_that_the_next_one_uses(tmp_path: Path) -> None:
    archive, root = tmp_path / "a folder" / "classes.jsa", tmp_path / "root"
    assert run(archive, root, "recommend")["rows"] == 7
    assert not archive.exists()

    assert run(archive, root, "train")["rows"] == 7
    assert archive.is_file() and list(archive.parent.glob("*/")) == []

    used = run(archive, root, "clean")
    assert used["rows"] == 7 and f"-XX:SharedArchiveFile={archive}" in used["options"]


@pytest.mark.long
def test_a_recording_that_takes_too_long_is_given_up_and_the_job_ends_well(tmp_path: Path) -> None:
    archive = tmp_path / "share" / "classes.jsa"
    assert run(archive, tmp_path / "root", "train", exit_seconds=0.01)["rows"] == 7
    assert not archive.exists() and list(archive.parent.glob("*/")) == []


def test_after_a_first_job_that_failed_nothing_follows_its_sentence(tmp_path: Path) -> None:
    failing = _RUN.partition("    arguments = ")[0] + "    sys.exit('the sentence')"
    command = [sys.executable, "-c", failing, str(tmp_path / "share" / "classes.jsa"), str(tmp_path), "train", "120"]
    # its end is that of the JVM too, which has the same standard error
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "the sentence" and done.stdout == ""
    assert list((tmp_path / "share").glob("*/")) == []


@pytest.mark.skipif(os.name == "nt", reason="Windows knows no such modes")
def test_a_folder_that_may_not_be_written_is_no_reason_to_fail(
    for_everybody: Path, monkeypatch: pytest.MonkeyPatch, as_nobody: Any
) -> None:
    archive = for_everybody / "share" / "classes.jsa"
    monkeypatch.setattr(class_archive, "archive_file", lambda: archive)

    def options() -> str:
        with class_archive.class_archive("train") as told:
            return told

    for_everybody.chmod(0o755)
    assert as_nobody(options) == ""
