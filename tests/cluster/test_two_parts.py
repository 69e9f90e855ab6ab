"""Batch and stream hold events of the same dates in the cluster, and each counts once (SPEC T6, D6).

The last of the cluster's tests: it publishes tables anew.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from spark_apps.tables import EVENTS, USER_FEATURES
from tests.cluster.conftest import RunningCluster
from tests.cluster.november import SIMULATE, drop, records
from tests.factory import HEADER, csv_line


@pytest.mark.long  # tests/pipeline/test_dropped_files.py has it with HDFS and Structured Streaming, on one machine
def test_a_month_that_is_cleaned_after_it_was_streamed_counts_once(trained: RunningCluster, november: Path) -> None:
    trained.shopstream("cluster", "load", str(november))
    if not records(trained):  # nobody has streamed it before
        trained.shopstream(*SIMULATE, "--speed", "max", "--batches", "2")
    drop(trained, "from elsewhere.csv", f"{HEADER}\n{csv_line(event_time='2019-11-30 23:59:58 UTC', user_id=4)}\n")
    trained.shopstream("submit", "stream", "--once")
    for job in ("clean", "features"):
        trained.shopstream("submit", job)
    elsewhere = sum(record.clean for record in records(trained) if not record.replayed)
    users, events = trained.arrow(USER_FEATURES), trained.arrow(EVENTS)
    assert users is not None and events is not None and elsewhere > 0
    assert sum(users["total_events"].to_pylist()) == len(events) + elsewhere
