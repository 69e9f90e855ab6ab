from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_apps.cluster.config import ClusterConfig
from spark_apps.cluster.sizing import (
    MIB,
    Plan,
    TooLittleMemoryError,
    default_budget,
    make_plan,
    megabytes,
    parse_size,
)
from spark_apps.errors import UserError

budgets = st.integers(1, 300_000)
counts = st.integers(1, 12)
LEAST_HEAP, JVM_BESIDE_HEAP = 192, 128


def least_budget(workers: int, datanodes: int, monitoring: bool) -> int:
    """The smallest budget that works, as the refusal names it."""
    with pytest.raises(TooLittleMemoryError) as refused:
        make_plan(0, workers, datanodes, 1, monitoring)
    return int(re.search(r"--memory (\d+)m", str(refused.value)).group(1))  # type: ignore[union-attr]


def check(values: dict[str, str]) -> None:
    """Every heap, off-heap and Python memory fits its container's limit."""
    sizes = {name.removeprefix("SHOPSTREAM_"): megabytes(v) for name, v in values.items() if v.endswith("m")}
    for service in ("NAMENODE", "DATANODE", "MASTER", "HISTORY"):
        assert sizes[f"{service}_HEAP"] >= LEAST_HEAP
        assert sizes[f"{service}_HEAP"] + JVM_BESIDE_HEAP <= sizes[f"{service}_LIMIT"]
    executor = sizes["EXECUTOR_MEMORY"] + sizes["EXECUTOR_OVERHEAD"] + sizes["EXECUTOR_PYTHON"]
    assert executor + sizes["WORKER_HEAP"] + JVM_BESIDE_HEAP <= sizes["WORKER_LIMIT"]
    assert sizes["WORKER_MEMORY"] >= sizes["EXECUTOR_MEMORY"]
    assert sizes["EXECUTOR_OVERHEAD"] >= max(320, sizes["EXECUTOR_MEMORY"] / 10)
    assert sizes["EXECUTOR_MEMORY"] <= 31 * 1024
    cores = int(values["SHOPSTREAM_WORKER_CORES"])
    assert sizes["EXECUTOR_PYTHON"] >= 512 + 256 * (cores - 1)
    assert int(values["SHOPSTREAM_ALS_TASK_MEMORY"]) < sizes["EXECUTOR_PYTHON"] * MIB
    # the driver: its heap, 320 MiB beside it, 448 MiB of Python
    assert 512 <= sizes["DRIVER_MEMORY"] <= sizes["CLIENT_LIMIT"] - 768


@given(budget=budgets, workers=counts, datanodes=counts, cores=st.integers(1, 64), monitoring=st.booleans())
def test_the_sizes_fit_or_the_budget_is_refused(
    budget: int, workers: int, datanodes: int, cores: int, monitoring: bool
) -> None:
    least = least_budget(workers, datanodes, monitoring)
    if budget < least:
        with pytest.raises(TooLittleMemoryError, match=f"--memory {least}m"):
            make_plan(budget, workers, datanodes, cores, monitoring)
        return
    plan = make_plan(budget, workers, datanodes, cores, monitoring)
    config = ClusterConfig().with_plan(plan)
    values = config.variables()
    assert plan.total() == config.total() <= budget
    assert ("INFLUXDB" in plan.limits) == ("GRAFANA" in plan.limits) == monitoring
    assert 1 <= plan.executor.cores <= max(1, cores // workers)
    assert values["SHOPSTREAM_REPLICATION"] == str(min(3, datanodes))
    check(values)


@given(budget=st.integers(9000, 100_000), more=st.integers(1, 5000))
def test_more_memory_makes_nothing_smaller(budget: int, more: int) -> None:
    small, large = make_plan(budget, 2, 2, 2), make_plan(budget + more, 2, 2, 2)
    rounded = 8  # MiB that whole numbers may cost
    assert all(large.limits[name] >= limit - rounded for name, limit in small.limits.items())
    assert large.executor.heap >= small.executor.heap - rounded
    assert large.executor.python >= small.executor.python - rounded


@given(budget=st.integers(9000, 60_000), cores=st.integers(2, 32), workers=counts, datanodes=counts)
def test_other_counts_stay_in_the_budget_and_touch_only_workers(
    budget: int, cores: int, workers: int, datanodes: int
) -> None:
    before = ClusterConfig(memory=budget).with_plan(make_plan(budget, 2, 2, cores))
    try:
        after = before.rescaled(workers, datanodes)
    except TooLittleMemoryError as error:
        needed = int(re.search(r"--memory (\d+)m", str(error)).group(1))  # type: ignore[union-attr]
        assert needed > budget
        assert replace(before, memory=needed).rescaled(workers, datanodes).total() <= needed
        return
    assert after.total() <= budget
    check(after.variables())
    was = before.variables()
    changed = {name for name, value in after.variables().items() if value != was[name]}
    allowed = ("WORKER", "EXECUTOR", "ALS", "DATANODES", "REPLICATION")
    assert all(name.removeprefix("SHOPSTREAM_").startswith(allowed) for name in changed)
    if replace(before, workers=workers, datanodes=datanodes).total() <= budget:
        assert after.limits["WORKER"] == before.limits["WORKER"]


def test_the_usual_cluster_in_12_gib_has_room_for_als_and_arrow() -> None:
    plan = make_plan(12 * 1024, 2, 2, 2)
    assert plan.executor.python >= 1024
    assert plan.executor.heap >= 1024
    assert plan.driver_heap() >= 1024


@pytest.mark.parametrize("budget", [8 * 1024, 16 * 1024])
def test_the_usual_cluster_fits_8_and_16_gib(budget: int) -> None:
    assert isinstance(make_plan(budget, 2, 2, 4), Plan)


def test_a_budget_too_small_names_the_smallest_in_one_sentence() -> None:
    with pytest.raises(TooLittleMemoryError) as refused:
        make_plan(4096, 2, 1, 2)
    told = str(refused.value)
    assert told.startswith("4096 MiB are too little for 2 workers and 1 DataNode: give at least ")
    assert told.count(". ") == 0 and told.endswith(".")


def test_fewer_cores_are_taken_where_memory_is_short() -> None:
    assert make_plan(8192, 2, 2, 32).executor.cores < 16
    assert make_plan(64_000, 2, 2, 32).executor.cores == 16


@pytest.mark.parametrize(
    ("text", "size"),
    [("12g", 12 * 1024**3), ("1.5G", 3 * 1024**3 // 2), ("800m", 800 * MIB), ("4GiB", 4 * 1024**3), ("2048", 2048)],
)
def test_sizes_are_read_as_people_write_them(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "much", "-1g", "12 apples", "g"])
def test_other_words_are_no_size(text: str) -> None:
    with pytest.raises(UserError, match="is not a size"):
        parse_size(text)


def test_the_host_keeps_a_fifth_and_at_least_a_gibibyte() -> None:
    assert default_budget(20 * 1024**3) == 16 * 1024
    assert default_budget(3 * 1024**3) == 2 * 1024
