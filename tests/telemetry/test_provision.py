"""`shopstream metrics provision` against a real InfluxDB."""

from __future__ import annotations

import json
import os
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from spark_apps.telemetry.provision import BUCKET, ORG, is_right
from tests.telemetry.conftest import InfluxServer, Provision
from tests.telemetry.http_api import HttpApi

DAY = 86_400


def outcomes(provision: Provision, url: str) -> list[str]:
    done = provision(url, "--json")
    assert done.exit_code == 0, done.stderr
    return [one["outcome"] for one in json.loads(done.stdout)]


def secret(secrets: Path, name: str) -> str:
    return (secrets / f"influxdb_{name}").read_text().strip()


@pytest.fixture
def admin(influx: InfluxServer, secrets: Path) -> HttpApi:
    return HttpApi(influx.url, secret(secrets, "admin_token"))


def bucket_of(admin: HttpApi) -> dict[str, Any]:
    found = admin.call("GET", "/api/v2/buckets", params={"name": BUCKET})["buckets"]
    assert len(found) == 1
    one: dict[str, Any] = found[0]
    return one


def ours(admin: HttpApi) -> list[dict[str, Any]]:
    listed = admin.call("GET", "/api/v2/authorizations")["authorizations"]
    return [one for one in listed if one["description"].startswith("shopstream ")]


def test_makes_all_and_then_leaves_it(
    influx: InfluxServer, admin: HttpApi, secrets: Path, shopstream: Provision
) -> None:
    assert outcomes(shopstream, influx.url) == ["made"] * 4
    assert bucket_of(admin)["retentionRules"][0]["everySeconds"] == 30 * DAY
    tokens = [secret(secrets, name) for name in ("writer_token", "reader_token")]
    for _ in range(2):
        assert outcomes(shopstream, influx.url) == ["as it was"] * 4
        assert [secret(secrets, name) for name in ("writer_token", "reader_token")] == tokens
    influx.stop()
    influx.start()
    assert outcomes(shopstream, influx.url) == ["as it was"] * 4
    assert len(ours(admin)) == 2


def test_tokens_can_do_one_thing_each(influx: InfluxServer, secrets: Path, shopstream: Provision) -> None:
    shopstream(influx.url)
    writer, reader = (HttpApi(influx.url, secret(secrets, f"{name}_token")) for name in ("writer", "reader"))
    point = f"user_behavior,event_type=view events=3i {time.time_ns()}"
    target = {"org": ORG, "bucket": BUCKET}
    assert writer.ask("POST", "/api/v2/write", params=target, data=point).status_code == 204
    assert reader.ask("POST", "/api/v2/write", params=target, data=point).status_code == 403
    query = {"query": f'from(bucket: "{BUCKET}") |> range(start: -1h)', "type": "flux"}
    assert "user_behavior" in reader.ask("POST", "/api/v2/query", params={"org": ORG}, json=query).text
    assert writer.ask("POST", "/api/v2/query", params={"org": ORG}, json=query).status_code == 404
    for holder in (writer, reader):
        seen = holder.ask("GET", "/api/v2/authorizations")
        assert not seen.ok or seen.json()["authorizations"] == []
        assert holder.ask("POST", "/api/v2/buckets", json={"name": "x", "orgID": "0" * 16}).status_code >= 400


def test_files_are_for_their_owner_only(influx: InfluxServer, secrets: Path, shopstream: Provision) -> None:
    shopstream(influx.url)
    assert stat.S_IMODE((secrets / "influxdb_writer_token").stat().st_mode) == 0o400
    assert sorted(path.name for path in secrets.iterdir()) == [
        f"influxdb_{name}" for name in ("admin_password", "admin_token", "reader_token", "writer_token")
    ]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_replaced_file_keeps_owner_and_mode(influx: InfluxServer, secrets: Path, shopstream: Provision) -> None:
    seeded = secrets.parent / "grafana" / "token"
    seeded.parent.mkdir()
    seeded.write_text("made up on the host\n")
    seeded.chmod(0o440)
    os.chown(seeded, 472, 10_000)
    assert shopstream(influx.url, "--reader-token", seeded).exit_code == 0
    found = seeded.stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (472, 10_000, 0o440)
    assert is_right(influx.url, seeded.read_text().strip(), "read", [])


def revoke(admin: HttpApi, secrets: Path) -> None:
    admin.call("DELETE", f"/api/v2/authorizations/{ours(admin)[0]['id']}")


def deactivate(admin: HttpApi, secrets: Path) -> None:
    admin.call("PATCH", f"/api/v2/authorizations/{ours(admin)[0]['id']}", json={"status": "inactive"})


def lose_file(admin: HttpApi, secrets: Path) -> None:
    (secrets / "influxdb_writer_token").unlink()


def empty_file(admin: HttpApi, secrets: Path) -> None:
    (secrets / "influxdb_writer_token").chmod(0o600)
    (secrets / "influxdb_writer_token").write_text("")


def swap_files(admin: HttpApi, secrets: Path) -> None:
    writer, reader = secrets / "influxdb_writer_token", secrets / "influxdb_reader_token"
    writer.rename(secrets / "x")
    reader.rename(writer)
    (secrets / "x").rename(reader)


def too_much(admin: HttpApi, secrets: Path) -> None:
    path = secrets / "influxdb_writer_token"
    path.chmod(0o600)
    path.write_text(secret(secrets, "admin_token"))


def second_of_the_name(admin: HttpApi, secrets: Path) -> None:
    one = ours(admin)[0]
    admin.call("POST", "/api/v2/authorizations", json={k: one[k] for k in ("orgID", "description", "permissions")})


def other_rights(admin: HttpApi, secrets: Path) -> None:
    """The writer's token of this name may also read."""
    org = bucket_of(admin)["orgID"]
    one = next(one for one in ours(admin) if "writer" in one["description"])
    admin.call("DELETE", f"/api/v2/authorizations/{one['id']}")
    both = [{"action": action, "resource": {"type": "buckets", "orgID": org}} for action in ("read", "write")]
    wanted = {"orgID": org, "description": one["description"], "permissions": both}
    token = admin.call("POST", "/api/v2/authorizations", json=wanted)["token"]
    path = secrets / "influxdb_writer_token"
    path.chmod(0o600)
    path.write_text(token)


def more_rights(admin: HttpApi, secrets: Path) -> None:
    """The reader's token of this name may also see the org's tasks, which no use of a bucket shows."""
    one = next(one for one in ours(admin) if "reader" in one["description"])
    admin.call("DELETE", f"/api/v2/authorizations/{one['id']}")
    more = [*one["permissions"], {"action": "read", "resource": {"type": "tasks", "orgID": one["orgID"]}}]
    wanted = {"orgID": one["orgID"], "description": one["description"], "permissions": more}
    path = secrets / "influxdb_reader_token"
    path.chmod(0o600)
    path.write_text(admin.call("POST", "/api/v2/authorizations", json=wanted)["token"])


@pytest.mark.parametrize(
    "spoil",
    [more_rights, revoke, deactivate, lose_file, empty_file, swap_files, too_much, second_of_the_name, other_rights],
    ids=lambda one: one.__name__,
)
def test_fixes_tokens(
    influx: InfluxServer, admin: HttpApi, secrets: Path, shopstream: Provision, spoil: Callable[[HttpApi, Path], None]
) -> None:
    shopstream(influx.url)
    spoil(admin, secrets)
    assert set(outcomes(shopstream, influx.url)[2:]) & {"made", "replaced"}
    assert is_right(influx.url, secret(secrets, "writer_token"), "write", [])
    assert is_right(influx.url, secret(secrets, "reader_token"), "read", [])
    assert len(ours(admin)) == 2
    assert outcomes(shopstream, influx.url) == ["as it was"] * 4


def test_corrects_the_retention_and_makes_a_lost_bucket(
    influx: InfluxServer, admin: HttpApi, shopstream: Provision
) -> None:
    shopstream(influx.url)
    path = f"/api/v2/buckets/{bucket_of(admin)['id']}"
    admin.call("PATCH", path, json={"retentionRules": [{"type": "expire", "everySeconds": 0}]})
    assert outcomes(shopstream, influx.url)[1:] == ["corrected", "as it was", "as it was"]
    assert bucket_of(admin)["retentionRules"][0]["everySeconds"] == 30 * DAY
    admin.call("DELETE", path)
    assert outcomes(shopstream, influx.url)[1:] == ["made", "replaced", "replaced"]
    assert outcomes(shopstream, influx.url) == ["as it was"] * 4


def test_is_right_of_a_wrong_token_is_false(influx: InfluxServer, secrets: Path, shopstream: Provision) -> None:
    shopstream(influx.url)
    reader, writer = secret(secrets, "reader_token"), secret(secrets, "writer_token")
    assert is_right(influx.url, reader, "read", [])
    assert is_right(influx.url, writer, "write", [])
    for wrong in (reader, secret(secrets, "admin_token"), "nonsense"):
        assert not is_right(influx.url, wrong, "write", [])
    for wrong in (writer, secret(secrets, "admin_token"), "nonsense"):
        assert not is_right(influx.url, wrong, "read", [])


@pytest.mark.parametrize(
    ("rights", "fits"),
    [
        (["write ours"], "write"),
        (["read ours"], "read"),
        (["read ours", "write ours"], None),
        (["write ours", "write other"], None),
        (["write ours", "read other"], None),
        (["read ours", "read other"], None),
        (["read ours", "write other"], None),
        (["write other"], None),
        (["read other"], None),
    ],
)
def test_is_right_of_just_the_rights(
    influx: InfluxServer, admin: HttpApi, shopstream: Provision, rights: list[str], fits: str | None
) -> None:
    shopstream(influx.url)
    org = bucket_of(admin)["orgID"]
    other = admin.call("POST", "/api/v2/buckets", json={"name": "other", "orgID": org, "retentionRules": []})
    ids = {"ours": bucket_of(admin)["id"], "other": other["id"]}
    permissions = [_permission(*one.partition(" ")[::2], org, ids) for one in rights]
    wanted = {"orgID": org, "description": "of the test", "permissions": permissions}
    token = admin.call("POST", "/api/v2/authorizations", json=wanted)["token"]
    assert is_right(influx.url, token, "write", ["_monitoring", "other"]) is (fits == "write")
    assert is_right(influx.url, token, "read", ["_monitoring", "other"]) is (fits == "read")


def _permission(action: str, what: str, org: str, ids: dict[str, str]) -> dict[str, object]:
    return {"action": action, "resource": {"type": "buckets", "id": ids[what], "orgID": org}}


def test_a_server_of_other_secrets_is_told(influx: InfluxServer, secrets: Path, shopstream: Provision) -> None:
    shopstream(influx.url)
    (secrets / "influxdb_admin_token").write_text("another")
    refused = shopstream(influx.url)
    assert refused.exit_code == 2
    assert "was set up before with another admin token" in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_a_server_of_another_org_gets_ours(influx: InfluxServer, secrets: Path, shopstream: Provision) -> None:
    first = {"org": "others", "bucket": "x", "username": "root", "password": "a-good-password"}
    HttpApi(influx.url).call("POST", "/api/v2/setup", json={**first, "token": secret(secrets, "admin_token")})
    assert outcomes(shopstream, influx.url) == ["made"] * 4
    assert outcomes(shopstream, influx.url) == ["as it was"] * 4


def test_a_token_that_is_not_the_operators_is_told(
    influx: InfluxServer, admin: HttpApi, secrets: Path, shopstream: Provision
) -> None:
    shopstream(influx.url)
    (secrets / "influxdb_admin_token").write_text(secret(secrets, "reader_token"))
    refused = shopstream(influx.url)
    assert refused.exit_code == 2
    assert f"The org {ORG} is taken" in refused.stderr
    assert "operator" in refused.stderr


def test_a_password_that_is_refused_is_told(influx: InfluxServer, secrets: Path, shopstream: Provision) -> None:
    (secrets / "influxdb_admin_password").write_text("short")
    refused = shopstream(influx.url)
    assert refused.exit_code == 2
    assert "password" in refused.stderr


@pytest.mark.parametrize("name", ["admin_password", "admin_token"])
def test_missing_secrets_are_told(secrets: Path, shopstream: Provision, name: str) -> None:
    (secrets / f"influxdb_{name}").unlink()
    refused = shopstream("http://127.0.0.1:1")
    assert refused.exit_code == 2
    assert f"There is no secret in {secrets}/influxdb_{name}" in refused.stderr


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "127.0.0.1:1", "http://no-such-host.invalid:8086"])
def test_no_server_is_told_in_one_sentence(shopstream: Provision, url: str) -> None:
    refused = shopstream(url)
    assert refused.exit_code == 2
    assert refused.stderr.startswith(f"Error: InfluxDB does not answer at {url} (")
    assert refused.stderr.count("\n") == 1


def test_waits_for_a_starting_server(influx: InfluxServer, shopstream: Provision) -> None:
    influx.stop()
    assert shopstream(influx.url, "--wait", "0.6").exit_code == 2
    starting = threading.Timer(0.6, influx.start)
    starting.start()
    try:
        assert shopstream(influx.url, "--wait", "60").exit_code == 0
    finally:
        starting.join()


def test_secrets_are_never_printed(influx: InfluxServer, secrets: Path, shopstream: Provision) -> None:
    done = [shopstream(influx.url), shopstream(influx.url, "--json")]
    values = [path.read_text().strip() for path in secrets.iterdir()]
    assert len(values) == 4
    assert not [value for value in values for one in done if value in one.output]
