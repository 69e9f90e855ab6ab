"""Makes an InfluxDB ready for shopstream: org, bucket, one token to write and one to read (SPEC I4).

InfluxDB 2 makes the values of such tokens itself, takes none (only the first set-up takes one, the admin's), and since
2.8 never shows them again. So they are written into files at the moment they are made, and a token is judged by what
can be done with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from spark_apps.telemetry.connection import Influx, InfluxRefusedError
from spark_apps.telemetry.token_files import find_secret, read_secret, write_secret

ORG = "shopstream"
BUCKET = "ecommerce_analytics"
ADMIN = "admin"
RETENTION_DAYS = 30
ADMIN_PASSWORD = "influxdb_admin_password"
ADMIN_TOKEN = "influxdb_admin_token"
WRITER_TOKEN = "influxdb_writer_token"
READER_TOKEN = "influxdb_reader_token"

Action = Literal["write", "read"]
_DAY = 86_400


@dataclass(frozen=True)
class Role:
    """A token of limited rights: what it may do to the bucket, what it is called, where its value goes."""

    action: Action
    file: Path

    @property
    def description(self) -> str:
        """Its name among InfluxDB's authorizations."""
        return f"shopstream {'writer' if self.action == 'write' else 'reader'} of {BUCKET}"


@dataclass(frozen=True)
class Outcome:
    """What became of one thing: its name, and made, corrected, replaced or as it was."""

    thing: str
    outcome: Literal["made", "corrected", "replaced", "as it was"]
    note: str = ""


def provision(url: str, secrets: Path, roles: list[Role], wait: float = 0) -> Iterator[Outcome]:
    """Makes org, bucket and tokens, or leaves them where they are as they should be.

    Args:
        url: the server's.
        secrets: folder of the admin's password and token.
        roles: the tokens wanted.
        wait: seconds to wait for a server that is starting.

    Raises:
        InfluxAwayError: when it cannot be reached.
        InfluxRefusedError: when it was set up with another token, or refuses a step.
        SecretFileError: when the admin's secrets are not there.
    """
    token = read_secret(secrets / ADMIN_TOKEN)
    password = read_secret(secrets / ADMIN_PASSWORD)
    admin = Influx(url, token)
    admin.await_ready(wait)
    fresh = _set_up(url, password, token)
    org, made = _org(admin)
    yield Outcome(f"org {ORG}", "made" if fresh or made else "as it was")
    bucket, outcome = _bucket(admin, org)
    yield Outcome(f"bucket {BUCKET}", "made" if fresh else outcome, f"keeps {RETENTION_DAYS} days")
    for role in roles:
        yield Outcome(f"token to {role.action}", _token(admin, role, org, bucket), str(role.file))


def is_right(url: str, token: str, action: Action, others: list[str]) -> bool:
    """Says whether a token can do its one thing to the bucket and nothing to others; tries it, writes nothing.

    Args:
        url: the server's.
        token: the token.
        action: what it should be able to do.
        others: the names of the org's other buckets.
    """
    holder = Influx(url, token)
    does = {"write": holder.may_write(ORG, BUCKET), "read": holder.may_read(ORG, BUCKET)}
    if not does.pop(action) or any(does.values()):
        return False
    return not any(holder.may_write(ORG, name) or holder.may_read(ORG, name) for name in others)


def _set_up(url: str, password: str, token: str) -> bool:
    """Does the first set-up; false where it was done before."""
    anybody = Influx(url)
    if not anybody.call("GET", "/api/v2/setup").get("allowed"):
        return False
    first = {
        "org": ORG,
        "bucket": BUCKET,
        "username": ADMIN,
        "password": password,
        "token": token,
        "retentionPeriodSeconds": RETENTION_DAYS * _DAY,
    }
    anybody.call("POST", "/api/v2/setup", json=first)
    return True


def _org(admin: Influx) -> tuple[str, bool]:
    """Returns the org's id, and whether it was made now."""
    # without a filter: InfluxDB says "not found" of a name to those who may not see it, too
    answer = admin.ask("GET", "/api/v2/orgs", params={"limit": 100})
    if answer.status_code == 401:
        raise InfluxRefusedError(
            f"InfluxDB at {admin.url} was set up before with another admin token: bring back the secret {ADMIN_TOKEN} "
            "that belongs to its data, or remove its data volume."
        )
    if not answer.ok:
        raise InfluxRefusedError(f"InfluxDB at {admin.url} refuses to list orgs: {admin.said(answer)}")
    for one in admin.json(answer)["orgs"]:
        if one["name"] == ORG:
            return one["id"], False
    answer = admin.ask("POST", "/api/v2/orgs", json={"name": ORG})
    if not answer.ok:
        raise InfluxRefusedError(
            f"The org {ORG} is taken by others in InfluxDB at {admin.url}, or the token in {ADMIN_TOKEN} is not the "
            f"operator's ({admin.said(answer)}): use the operator's token, or an InfluxDB of its own."
        )
    return admin.json(answer)["id"], True


def _bucket(admin: Influx, org: str) -> tuple[str, Literal["made", "corrected", "as it was"]]:
    """Returns the bucket's id and what was done to it."""
    rules = [{"type": "expire", "everySeconds": RETENTION_DAYS * _DAY}]
    found = admin.call("GET", "/api/v2/buckets", params={"orgID": org, "limit": 100})["buckets"]
    for one in found:
        if one["name"] != BUCKET:
            continue
        if [rule["everySeconds"] for rule in one["retentionRules"]] == [RETENTION_DAYS * _DAY]:
            return one["id"], "as it was"
        admin.call("PATCH", f"/api/v2/buckets/{one['id']}", json={"retentionRules": rules})
        return one["id"], "corrected"
    wanted = {"orgID": org, "name": BUCKET, "retentionRules": rules}
    return admin.call("POST", "/api/v2/buckets", json=wanted)["id"], "made"


def _token(admin: Influx, role: Role, org: str, bucket: str) -> Literal["made", "replaced", "as it was"]:
    """Makes sure that the file holds a token of just this right, and that there is no second one."""
    ours = _authorizations(admin, role, org)
    resource = {"type": "buckets", "id": bucket, "orgID": org}
    wanted = {
        "orgID": org,
        "description": role.description,
        "permissions": [{"action": role.action, "resource": resource}],
    }
    in_file = find_secret(role.file)
    others = [name for name in admin.sees("buckets") if name != BUCKET]
    if _as_wanted(ours, wanted) and in_file and is_right(admin.url, in_file, role.action, others):
        return "as it was"
    # first away with the old ones: killed in between, the next run finds a file whose token does not work
    for one in ours:
        admin.call("DELETE", f"/api/v2/authorizations/{one['id']}")
    made = admin.call("POST", "/api/v2/authorizations", json=wanted)
    write_secret(role.file, made["token"])
    return "replaced" if ours else "made"


def _as_wanted(found: list[dict[str, Any]], wanted: dict[str, Any]) -> bool:
    """Says whether there is just one authorization, with just the rights wanted."""
    if len(found) != 1:
        return False
    rights = [
        {"action": one["action"], "resource": {key: one["resource"].get(key) for key in ("type", "id", "orgID")}}
        for one in found[0]["permissions"]
    ]
    return bool(rights == wanted["permissions"])


def _authorizations(admin: Influx, role: Role, org: str) -> list[dict[str, Any]]:
    listed = admin.call("GET", "/api/v2/authorizations", params={"orgID": org})
    return [one for one in listed["authorizations"] if one["description"] == role.description]
