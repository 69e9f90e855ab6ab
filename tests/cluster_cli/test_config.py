from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_apps.cluster.config import ClusterConfig
from spark_apps.cluster.sizing import make_plan
from spark_apps.errors import UserError

values = st.text(st.characters(exclude_characters="'\n\r", exclude_categories=("Cs", "Cc", "Z")), max_size=20)
names = st.from_regex(r"[A-Z][A-Z_]{0,10}", fullmatch=True)
ports = st.dictionaries(st.sampled_from(["HDFS", "GRAFANA"]), st.integers(1024, 65535))
configs = st.builds(
    ClusterConfig,
    name=values,
    java_options=values,
    memory=st.integers(0, 10**6),
    workers=st.integers(0, 9),
    monitoring=st.booleans(),
    port_offset=st.integers(0, 900),
    ports=ports,
    limits=st.dictionaries(st.sampled_from(["WORKER", "NAMENODE"]), st.integers(1, 10**5)),
    als_task_memory=st.integers(0, 10**12),
    other=st.dictionaries(names, values, max_size=3),
)


@given(configs)
def test_what_is_written_is_read_back(config: ClusterConfig) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cluster.env"
        assert config.write(path)
        assert ClusterConfig.read(path) == config
        stamp = path.stat().st_mtime_ns
        assert not config.write(path)
        assert path.stat().st_mtime_ns == stamp
        assert [one.name for one in Path(folder).iterdir()] == ["cluster.env"]


def test_an_absent_file_says_nothing(tmp_path: Path) -> None:
    assert ClusterConfig.read(tmp_path / "cluster.env") == ClusterConfig()


# as the first version that had a cluster.env wrote it: no overhead, no Python memory, no Java options
EARLIER = """# Written by `shopstream cluster`
SHOPSTREAM_CLUSTER=shopstream
SHOPSTREAM_SECRETS='/my folder/secrets'
SHOPSTREAM_MEMORY=12288m
SHOPSTREAM_WORKERS=2
SHOPSTREAM_DATANODES=3
SHOPSTREAM_PORT_OFFSET=0
SHOPSTREAM_PORT_HDFS=9870
SHOPSTREAM_NAMENODE_LIMIT=1g
SHOPSTREAM_NAMENODE_HEAP=800m
SHOPSTREAM_OF_THAT_TIME=a=b
"""


def test_the_file_of_an_earlier_version_is_read_and_loses_nothing(tmp_path: Path) -> None:
    config = ClusterConfig.parse(EARLIER)
    assert config == ClusterConfig(
        name="shopstream",
        secrets="/my folder/secrets",
        memory=12288,
        workers=2,
        datanodes=3,
        monitoring=True,
        ports={"HDFS": 9870},
        limits={"NAMENODE": 1024},
        heaps={"NAMENODE": 800},
        other={"SHOPSTREAM_OF_THAT_TIME": "a=b"},
    )
    assert "SHOPSTREAM_EXECUTOR_OVERHEAD" not in config.variables()
    path = tmp_path / "cluster.env"
    path.write_text(EARLIER)
    assert not config.write(path)
    assert path.read_text() == EARLIER


def test_sizes_are_kept_as_far_as_they_are_there() -> None:
    before = ClusterConfig(limits={"NAMENODE": 777, "GONE": 1}, driver_memory=555)
    plan = make_plan(12288, 2, 2, 4)
    kept, fresh = (config.with_plan(plan) for config in (ClusterConfig(), ClusterConfig()))
    kept = kept.with_sizes_of(before)
    assert (kept.limits["NAMENODE"], kept.driver_memory) == (777, 555)
    assert "GONE" not in kept.limits
    assert kept.executor_memory == fresh.executor_memory and kept.heaps == fresh.heaps


def test_a_value_with_a_space_is_quoted_for_compose(tmp_path: Path) -> None:
    ClusterConfig(secrets="/my folder/x", memory=12).write(tmp_path / "cluster.env")
    lines = (tmp_path / "cluster.env").read_text().splitlines()
    assert lines[1:3] == ["SHOPSTREAM_SECRETS='/my folder/x'", "SHOPSTREAM_MEMORY=12m"]


def test_a_value_that_no_line_can_hold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="without quotes"):
        ClusterConfig(secrets="it's here").write(tmp_path / "cluster.env")
    assert not (tmp_path / "cluster.env").exists()


@pytest.mark.parametrize("line", ["SHOPSTREAM_WORKERS=two", "SHOPSTREAM_MEMORY=much", "SHOPSTREAM_PORT_HDFS=x"])
def test_a_value_that_cannot_be_read_is_named(line: str) -> None:
    with pytest.raises(UserError, match=f"{line} in cluster.env cannot be read"):
        ClusterConfig.parse(f"{line}\n")
