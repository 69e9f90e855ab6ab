"""Any folder name that a file system takes is a root, on both engines, or is refused before anything is written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from spark_apps.engine.base import Engine
from spark_apps.engine.spark import engine_of
from spark_apps.jobs import clean, load, recommend, train
from spark_apps.settings import AlsParameters, load_settings
from spark_apps.tables import USER_FEATURES, DateRange
from tests.engines import local_engine
from tests.factory import csv_line, published_rows, write_log
from tests.terminal import REPOSITORY, shopstream

USERS, PRODUCTS = range(1, 9), range(101, 107)
# together, since what one character needs may stand in another's way
ODD = 'it\'s [50%20] {a}*?[!b] #1 "q" \\ ü 店;&$x +=~^`!()<>|'
NAMES = [ODD, "a: b, c", "two\nlines"]


def unseen(user: int) -> int:
    """The product that a user did not see."""
    return PRODUCTS[user % len(PRODUCTS)]


def write_events(folder: Path) -> Path:
    times = {user: f"2019-10-0{1 + user % 4} 10:00:00 UTC" for user in USERS}
    return write_log(
        folder / "log.csv",
        [
            csv_line(user_id=user, product_id=product, event_time=times[user], event_type=kind)
            for user in USERS
            for product in PRODUCTS
            for kind in ("view", "purchase")
            if product != unseen(user)
        ],
    )


def assert_all_of_it_works(engine: Engine, folder: Path, name: str) -> None:
    root = folder / "roots" / name
    settings = load_settings(root=str(root)).model_copy(update={"als": AlsParameters(rank=4, iterations=3)})
    load.run(root, [write_events(folder)])
    counts = clean.run(engine, root, DateRange())
    assert sum(day.clean for day in counts.values()) == 2 * len(USERS) * (len(PRODUCTS) - 1)
    train.run(engine, settings, root, DateRange(), "3", force=True)
    for user in USERS:
        assert [one.product_id for one in recommend.run(settings, root, user, 10)] == [unseen(user)]
    assert [path.name for path in (folder / "roots").iterdir()] == [name]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_is_a_root_of_local_work(name: str, tmp_path: Path) -> None:
    assert_all_of_it_works(local_engine(), tmp_path, name)


@pytest.mark.parametrize("name", NAMES)
def test_any_name_is_a_root_of_work_on_spark(name: str, spark: SparkSession, tmp_path: Path) -> None:
    assert_all_of_it_works(engine_of(spark), tmp_path, name)


@pytest.mark.parametrize(
    ("name", "options", "reason"),
    [
        (os.fsdecode(b"\xff"), [], "is not UTF-8"),
        ("x" * 256, [], "is no name for this file system"),
        ("a: [b]", ["--engine", "spark"], "a colon"),
    ],
)
def test_a_name_that_cannot_be_one_is_refused_before_anything_is_written(
    name: str, options: list[str], reason: str, tmp_path: Path
) -> None:
    command = ["clean"] if options else ["load", write_events(tmp_path)]
    done = shopstream(*command, "--root", tmp_path / "roots" / name, *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert reason in done.stderr and "choose another" in done.stderr
    assert [path for path in tmp_path.rglob("*") if path.name != "log.csv" and path != tmp_path / "roots"] == []


def write_conf(folder: Path) -> Path:
    """Settings of another Spark and Hadoop, with which nothing here would work."""
    folder.mkdir()
    site = (
        "<configuration><property><name>fs.defaultFS</name><value>hdfs://127.0.0.1:9</value></property></configuration>"
    )
    (folder / "core-site.xml").write_text(site, encoding="utf-8")
    (folder / "spark-defaults.conf").write_text("spark.eventLog.enabled true\nspark.eventLog.dir /none\n")
    (folder / "spark-env.sh").write_text("exit 1\n")
    return folder


def shell_of_others(folder: Path) -> dict[str, str]:
    conf, nowhere = str(write_conf(folder / "conf")), str(folder / "nowhere")
    return {
        **dict.fromkeys(["HADOOP_CONF_DIR", "YARN_CONF_DIR", "SPARK_CONF_DIR"], conf),
        **dict.fromkeys(["HADOOP_HOME", "SPARK_HOME", "PYSPARK_PYTHON", "PYSPARK_DRIVER_PYTHON"], nowhere),
        **dict.fromkeys(["CLASSPATH", "SPARK_DIST_CLASSPATH", "SPARK_CLASSPATH", "SPARK_LOCAL_DIRS"], nowhere),
        "PYSPARK_SUBMIT_ARGS": "--master local[1]",
        "_JAVA_OPTIONS": "-XX:NoSuchOption -Djava.net.preferIPv6Addresses=true",
        "JAVA_TOOL_OPTIONS": "-Xmx1m",
        "JDK_JAVA_OPTIONS": "-XX:NoSuchOption",
        "SPARK_LOCAL_IP": "192.0.2.1",
        "SPARK_LOCAL_HOSTNAME": "nowhere.invalid",
        "SPARK_REMOTE": "sc://127.0.0.1:9",
        "PYSPARK_GATEWAY_PORT": "9",
        "PYSPARK_GATEWAY_SECRET": "none",
        "ARROW_PRE_0_15_IPC_FORMAT": "1",
        "LC_ALL": "C",
    }


@pytest.mark.parametrize("options", [[], ["--engine", "spark", "--master", "local[2]"]], ids=["local", "spark"])
def test_a_shell_set_up_for_others_changes_nothing_and_nothing_is_made_elsewhere(
    options: list[str], request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    if options:
        request.getfixturevalue("java")
    here = tmp_path / "here"
    here.mkdir()
    environment = {**os.environ, **shell_of_others(tmp_path), "PYTHONPATH": str(REPOSITORY)}

    def run(command: str, root: Path) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "spark_apps", command, "--root", str(root), *options],
            cwd=here,
            env=environment,
            capture_output=True,
            encoding="utf-8",
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr

    first, second = tmp_path / "roots" / ODD, tmp_path / "roots" / "comma, comma"
    load.run(first, [write_events(tmp_path)])
    run("clean", first)
    first.rename(second)
    run("features", second)
    assert [row["user_id"] for row in published_rows(second, USER_FEATURES, "user_id")] == list(USERS)
    assert list(here.iterdir()) == []
    assert {path.name for path in (tmp_path / "roots").iterdir()} == {second.name}
    assert {path.name for path in tmp_path.iterdir()} == {"here", "roots", "conf", "log.csv"}


def test_another_pyspark_on_the_path_is_named(tmp_path: Path) -> None:
    (tmp_path / "pyspark").mkdir()
    (tmp_path / "pyspark" / "__init__.py").write_text("raise ImportError\n")
    (tmp_path / "pyspark" / "version.py").write_text('__version__: str = "3.5.1"\n')
    path = os.pathsep.join([str(tmp_path), str(REPOSITORY)])
    done = shopstream("clean", "--root", tmp_path / "root", "--engine", "spark", PYTHONPATH=path)
    assert done.returncode == 2
    assert "PySpark 3.5" in done.stderr and "PYTHONPATH" in done.stderr
    assert not (tmp_path / "root").exists()
