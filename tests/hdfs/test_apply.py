"""apply and check against a real NameNode."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from spark_apps.errors import HdfsUnreachableError
from spark_apps.hdfs.admin import HdfsAdmin, HdfsRefusedError
from spark_apps.hdfs.layout import DEFAULT_LAYOUT, read_layout
from spark_apps.platform.webhdfs import client
from tests.hdfs.conftest import Shopstream
from tests.hdfs.server import HdfsServer

GIB = 1 << 30


def tree(hdfs: HdfsAdmin) -> dict[str, tuple[str, str, str]]:
    return {entry.path: (entry.owner, entry.group, entry.permission) for entry in hdfs.walk("/")}


@pytest.fixture
def layout_file(tmp_path: Path) -> Path:
    """A small layout to change."""
    path = tmp_path / "layout.yaml"
    write(path, {"path": "/data", "owner": "spark", "group": "shopstream", "mode": "0750", "description": "all"})
    return path


def write(path: Path, *directories: dict[str, object]) -> None:
    path.write_text(yaml.safe_dump({"tables": "/data", "directories": list(directories)}))


def test_makes_the_whole_tree(superuser: HdfsAdmin, shopstream: Shopstream) -> None:
    assert shopstream("apply").exit_code == 0
    wanted = {d.path: (d.owner, d.group, d.permission) for d in read_layout(DEFAULT_LAYOUT).directories}
    assert tree(superuser) == {path: rest for path, rest in wanted.items() if path != "/"}
    assert tree(superuser)["/tmp"] == ("hdfs", "supergroup", "1777")
    quotas = superuser.quotas("/spark-events")
    assert (quotas.names, quotas.space) == (50_000, 20 * GIB)
    quotas = superuser.quotas("/data/raw")
    assert (quotas.names, quotas.space) == (200_000, None)


def test_a_second_run_has_nothing_to_do(superuser: HdfsAdmin, shopstream: Shopstream) -> None:
    assert "/data/raw" in shopstream("apply").stdout
    assert shopstream("apply").stdout == "Nothing to do: HDFS is as the layout says.\n"
    assert shopstream("check").exit_code == 0


def test_a_dry_run_changes_nothing(superuser: HdfsAdmin, shopstream: Shopstream) -> None:
    told = shopstream("apply", "--dry-run")
    assert told.exit_code == 0
    assert "/spark-events" in told.stdout
    assert tree(superuser) == {}


@pytest.mark.parametrize("spoil", ["owner", "group", "mode", "names", "space", "extra space", "extra names", "gone"])
def test_check_names_each_difference_and_apply_fixes_it(
    superuser: HdfsAdmin, shopstream: Shopstream, spoil: str
) -> None:
    shopstream("apply")
    before = tree(superuser)
    what: dict[str, Callable[[], object]] = {
        "owner": lambda: superuser.set_owner("/spark-events", "visitor", "shopstream"),
        "group": lambda: superuser.set_owner("/spark-events", "spark", "visitors"),
        "mode": lambda: superuser.set_permission("/spark-events", "777"),
        "names": lambda: superuser.set_quotas("/spark-events", 7, 20 * GIB),
        "space": lambda: superuser.set_quotas("/spark-events", 50_000, None),
        "extra space": lambda: superuser.set_quotas("/data/models", 50_000, GIB),
        "extra names": lambda: superuser.set_quotas("/user", 99, None),
        "gone": lambda: superuser.remove("/spark-events"),
    }
    what[spoil]()
    found = shopstream("check")
    assert found.exit_code == 2
    assert "1 difference" in found.stderr
    assert json.loads(shopstream("check", "--json").stdout)[0]["path"] in ("/spark-events", "/data/models", "/user")
    assert shopstream("apply").exit_code == 0
    assert shopstream("check").exit_code == 0
    assert tree(superuser) == before


def test_leaves_what_the_layout_does_not_name(
    superuser: HdfsAdmin, as_spark: HdfsAdmin, shopstream: Shopstream
) -> None:
    shopstream("apply")
    as_spark.make("/data/processed/events", "700")
    shopstream("apply")
    assert tree(superuser)["/data/processed/events"] == ("spark", "shopstream", "700")


def test_the_job_user_may_write_where_it_should_and_others_may_not(
    superuser: HdfsAdmin, as_spark: HdfsAdmin, hdfs_server: HdfsServer, shopstream: Shopstream
) -> None:
    shopstream("apply")
    for directory in ("/data", "/data/raw", "/data/temp/publish", "/spark-events", "/user/spark", "/tmp"):
        as_spark.make(f"{directory}/x", "755")
    visitor = HdfsAdmin(hdfs_server.webhdfs, "visitor")
    for directory in ("/data/raw", "/data/processed", "/spark-events", "/user/spark"):
        with pytest.raises(HdfsRefusedError, match="refuses user visitor"):
            visitor.entries(directory)


def test_files_get_as_many_copies_as_there_are_datanodes(
    superuser: HdfsAdmin, hdfs_server: HdfsServer, shopstream: Shopstream
) -> None:
    shopstream("apply")
    client(superuser.client.url, superuser.client.user, copies=2).write("/data/raw/a", b"x")
    client(superuser.client.url, superuser.client.user, copies=2).write("/data/temp/b", b"x")
    found = json.loads(shopstream("check", "--json").stdout)
    assert found == [{"path": "/data/raw", "what": "copies of 1 file", "have": "2", "want": "1"}]
    shopstream("apply")
    assert [superuser.entry(path).replication for path in ("/data/raw/a", "/data/temp/b")] == [1, 2]  # type: ignore[union-attr]


def test_a_file_in_the_way_is_told(superuser: HdfsAdmin, shopstream: Shopstream) -> None:
    superuser.client.write("/data", b"x")
    refused = shopstream("apply")
    assert refused.exit_code == 2
    assert refused.stderr.startswith("Error: /data is a file on HDFS")


def test_another_user_is_refused_in_one_sentence(superuser: HdfsAdmin, shopstream: Shopstream) -> None:
    refused = shopstream("apply", "--user", "visitor")
    assert refused.exit_code == 2
    assert refused.stderr.count("\n") == 1
    assert "refuses user visitor" in refused.stderr
    assert "--user hdfs" in refused.stderr


def test_what_may_not_be_seen_is_not_taken_for_missing(
    superuser: HdfsAdmin, hdfs_server: HdfsServer, shopstream: Shopstream
) -> None:
    shopstream("apply")
    with pytest.raises(HdfsRefusedError, match="refuses user visitor at /data/raw/x"):
        HdfsAdmin(hdfs_server.webhdfs, "visitor").entry("/data/raw/x")
    assert HdfsAdmin(hdfs_server.webhdfs, "spark").entry("/data/raw/x") is None


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://no-such-host.invalid:9870", "127.0.0.1:1", "ftp://x"])
def test_no_server_is_told_in_one_sentence(shopstream: Shopstream, url: str) -> None:
    refused = shopstream("apply", "--webhdfs", url)
    assert refused.exit_code == 2
    assert refused.stderr.startswith(f"Error: HDFS does not answer at {url} (")
    assert refused.stderr.count("\n") == 1


def test_another_web_server_is_told_in_one_sentence(shopstream: Shopstream, stranger: str) -> None:
    refused = shopstream("check", "--webhdfs", stranger)
    assert refused.exit_code == 2, refused.output
    assert refused.stderr == f"Error: What answers at {stranger} is no NameNode, or wants a login: see --webhdfs.\n"


def test_safe_mode_is_told_and_can_be_waited_for(
    superuser: HdfsAdmin, hdfs_server: HdfsServer, shopstream: Shopstream
) -> None:
    hdfs_server.admin("-safemode", "enter")
    try:
        refused = shopstream("apply")
        assert refused.exit_code == 2
        assert refused.stderr.startswith("Error: HDFS is in safe mode")
        waiting = HdfsAdmin(hdfs_server.webhdfs, "hdfs", wait=30)
        with subprocess.Popen(hdfs_server.admin_command("-safemode", "leave"), stdout=subprocess.DEVNULL):
            waiting.make("/data", "755")
    finally:
        hdfs_server.admin("-safemode", "leave")
    assert waiting.entry("/data") is not None


def test_waiting_has_an_end() -> None:
    with pytest.raises(HdfsUnreachableError):
        HdfsAdmin("http://127.0.0.1:1", "hdfs", wait=0.6).entry("/")


def test_the_address_is_the_options_or_the_settings_or_the_roots(local: Shopstream) -> None:
    free = "http://127.0.0.1:1"
    assert f"answer at {free} (" in local("check", "--webhdfs", free, SHOPSTREAM_WEBHDFS="http://127.0.0.1:2").stderr
    assert "answer at http://127.0.0.1:2 (" in local("check", SHOPSTREAM_WEBHDFS="http://127.0.0.1:2").stderr
    root = "hdfs://no-such-host.invalid:8020/data"
    assert "answer at http://no-such-host.invalid:9870 (" in local("check", SHOPSTREAM_ROOT=root).stderr


def test_the_layout_can_be_another_file(superuser: HdfsAdmin, shopstream: Shopstream, layout_file: Path) -> None:
    assert shopstream("apply", "--layout", layout_file).exit_code == 0
    assert tree(superuser) == {"/data": ("spark", "shopstream", "750")}
