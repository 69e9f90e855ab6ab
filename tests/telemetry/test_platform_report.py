"""The state of a real NameNode and a real Spark master, in a real InfluxDB."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pyspark
import pytest
import requests
from click.testing import CliRunner

from spark_apps.cli import main
from spark_apps.platform.influxdb import Influx
from spark_apps.telemetry.measurements import PLATFORM_HDFS, PLATFORM_MEASUREMENTS, PLATFORM_SPARK
from spark_apps.telemetry.platform_report import PlatformNotReportedError, look, moments, send
from spark_apps.telemetry.provision import BUCKET, ORG
from tests.hdfs.server import HdfsServer
from tests.telemetry.conftest import InfluxServer, Provision
from tests.telemetry.http_api import HttpApi
from tests.waiting import eventually

NOBODY = "http://127.0.0.1:9"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=2).ok
    except requests.RequestException:
        return False


@pytest.fixture(scope="module")
def master(java: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of the pages of a master without a worker."""
    home, port = Path(pyspark.__file__).parent, free_port()
    options = ["--host", "127.0.0.1", "--port", str(free_port()), "--webui-port", str(port)]
    environment = {**os.environ, "SPARK_HOME": str(home), "JAVA_HOME": str(java)}
    with (tmp_path_factory.mktemp("master") / "log").open("wb") as log:
        process = subprocess.Popen(
            [home / "bin" / "spark-class", "org.apache.spark.deploy.master.Master", *options],
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        pages = f"http://127.0.0.1:{port}/json/"
        eventually(lambda: process.poll() is not None or answers(pages), "the master answers")
        assert process.poll() is None
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def test_every_figure_of_the_schema_is_reported(hdfs_server: HdfsServer, master: str) -> None:
    report = look(hdfs_server.webhdfs, master, 1_700_000_000)
    assert not report.faults
    for measurement in PLATFORM_MEASUREMENTS:
        assert list(report.figures[measurement.name]) == [field.name for field in measurement.fields]
    hdfs, spark = report.figures[PLATFORM_HDFS.name], report.figures[PLATFORM_SPARK.name]
    assert (hdfs["up"], hdfs["safe_mode"], hdfs["live_nodes"], hdfs["dead_nodes"]) == (1, 0, 1, 0)
    assert hdfs["capacity"] > hdfs["used"] >= 0 and hdfs["files"] >= 1
    assert (spark["up"], spark["workers"], spark["running"]) == (1, 0, 0)


def test_safe_mode_is_seen(hdfs_server: HdfsServer, master: str) -> None:
    hdfs_server.admin("-safemode", "enter")
    try:
        seen = look(hdfs_server.webhdfs, master, 0).figures[PLATFORM_HDFS.name]
    finally:
        hdfs_server.admin("-safemode", "leave")
    assert seen["safe_mode"] == 1
    assert look(hdfs_server.webhdfs, master, 0).figures[PLATFORM_HDFS.name]["safe_mode"] == 0


def test_a_server_that_is_away_is_reported_as_down(master: str) -> None:
    report = look(NOBODY, master, 0)
    assert report.figures[PLATFORM_HDFS.name] == {"up": 0}
    assert report.figures[PLATFORM_SPARK.name]["up"] == 1
    assert report.faults.keys() == {PLATFORM_HDFS.name}


def test_another_server_s_answer_is_no_figure(master: str, influx: InfluxServer) -> None:
    report = look(influx.url, master, 0)
    assert report.figures[PLATFORM_HDFS.name] == {"up": 0} and report.faults


def test_reports_are_in_the_bucket(
    hdfs_server: HdfsServer, master: str, influx: InfluxServer, secrets: Path, shopstream: Provision
) -> None:
    assert shopstream(influx.url).exit_code == 0
    token = secrets / "influxdb_writer_token"
    options = ["--token-file", str(token), "--namenode", hdfs_server.webhdfs, "--master", master, "--once"]
    done = CliRunner().invoke(main, ["metrics", "platform", "--url", influx.url, *options])
    assert done.exit_code == 0 and "live_nodes" in done.stdout, done.output
    reader = HttpApi(influx.url, (secrets / "influxdb_reader_token").read_text().strip())
    query = {"query": f'from(bucket: "{BUCKET}") |> range(start: -1h) |> count()', "type": "flux"}
    rows = reader.ask("POST", "/api/v2/query", params={"org": ORG}, json=query).text.strip().splitlines()[1:]
    fields = sum(len(measurement.fields) for measurement in PLATFORM_MEASUREMENTS)
    assert len(rows) == fields and all(",1," in row for row in rows)


def test_the_service_goes_on_without_influxdb_and_says_so_once(
    master: str, influx: InfluxServer, secrets: Path, shopstream: Provision
) -> None:
    assert shopstream(influx.url).exit_code == 0
    command = [sys.executable, "-m", "spark_apps", "metrics", "platform", "--interval", "1", "--url", influx.url]
    command += ["--token-file", str(secrets / "influxdb_writer_token"), "--namenode", NOBODY, "--master", master]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("platform_hdfs: ")
        influx.stop()
        assert "InfluxDB does not answer" in process.stderr.readline()
        influx.start()
        reader = HttpApi(influx.url, (secrets / "influxdb_reader_token").read_text().strip())
        before = points(reader)
        eventually(lambda: process.poll() is not None or points(reader) >= before + 3, "points arrive again")
        assert process.poll() is None
    finally:
        process.terminate()
        rest = process.communicate(timeout=30)[1]
    assert rest == ""


def points(reader: HttpApi) -> int:
    flux = f'from(bucket: "{BUCKET}") |> range(start: -1h) |> filter(fn: (r) => r._field == "up") |> group() |> count()'
    text = reader.ask("POST", "/api/v2/query", params={"org": ORG}, json={"query": flux, "type": "flux"}).text
    rows = text.strip().splitlines()[1:]
    return int(rows[0].split(",")[-1]) if rows else 0


def test_a_token_that_may_not_write_is_an_error(
    influx: InfluxServer, master: str, secrets: Path, shopstream: Provision
) -> None:
    shopstream(influx.url)
    reader = Influx(influx.url, (secrets / "influxdb_reader_token").read_text().strip())
    with pytest.raises(PlatformNotReportedError, match="refuses the report"):
        send(reader, look(NOBODY, master, int(time.time())))


def test_moments_keep_their_distance() -> None:
    started, clock = time.monotonic(), moments(0.2)
    for _ in range(4):
        next(clock)
    assert 0.55 < time.monotonic() - started < 2
