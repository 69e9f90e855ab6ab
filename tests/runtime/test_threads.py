"""Native threads of libraries: one each in a command unless somebody says otherwise; Arrow takes its engine's cores."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from spark_apps.engine.local import LocalEngine

_ASK = """
import json, spark_apps.cli, numpy, sklearn.cluster, threadpoolctl
print(json.dumps([pool["num_threads"] for pool in threadpoolctl.threadpool_info()]))
"""
_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


@pytest.mark.parametrize(("given", "threads"), [({}, 1), (dict.fromkeys(_VARIABLES, "2"), 2)])
def test_libraries_of_a_command_start_one_thread_unless_told_otherwise(given: dict[str, str], threads: int) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in _VARIABLES} | given
    here = Path(__file__).resolve().parents[2]
    asked = subprocess.run(
        [sys.executable, "-c", _ASK], env=environment, cwd=here, capture_output=True, text=True, timeout=120, check=True
    )
    pools = json.loads(asked.stdout)
    assert len(pools) >= 2 and set(pools) == {threads}


def test_arrow_takes_the_cores_of_the_engine(tmp_path: Path) -> None:
    before = pa.cpu_count()
    try:
        with LocalEngine(3, 64 << 20, tmp_path):
            assert pa.cpu_count() == 3
    finally:
        pa.set_cpu_count(before)
