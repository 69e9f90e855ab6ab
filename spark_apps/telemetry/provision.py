"""Makes an InfluxDB ready for shopstream: org, bucket, one token to write and one to read (SPEC I4).

InfluxDB 2 makes the values of such tokens itself, takes none (only the first set-up takes one, the admin's), and since
2.8 never shows them again. So they are written into files at the moment they are made, and a token is judged by what
can be done with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from influxdb_client import (
    Authorization,
    Bucket,
    BucketRetentionRules,
    OnboardingRequest,
    Permission,
    PermissionResource,
    SetupService,
)

from spark_apps.platform.influxdb import Influx, InfluxRefusedError
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
_UNAUTHORIZED = 401


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
    service = SetupService(anybody.client.api_client)
    if not anybody.do("the question whether it is set up", service.get_setup).allowed:
        return False
    first = OnboardingRequest(
        username=ADMIN,
        password=password,
        org=ORG,
        bucket=BUCKET,
        retention_period_seconds=RETENTION_DAYS * _DAY,
        token=token,
    )
    anybody.do("the set-up", lambda: service.post_setup(first))
    return True


def _org(admin: Influx) -> tuple[str, bool]:
    """Returns the org's id, and whether it was made now."""
    api = admin.client.organizations_api()
    try:
        # without a filter: InfluxDB says "not found" of a name to those who may not see it, too
        found = admin.do("to list orgs", lambda: api.find_organizations(limit=100))
    except InfluxRefusedError as error:
        if error.status != _UNAUTHORIZED:
            raise
        raise InfluxRefusedError(
            f"InfluxDB at {admin.url} was set up before with another admin token: bring back the secret {ADMIN_TOKEN} "
            "that belongs to its data, or remove its data volume."
        ) from error
    for one in found:
        if one.name == ORG:
            return one.id, False
    try:
        return admin.do("to make an org", lambda: api.create_organization(name=ORG)).id, True
    except InfluxRefusedError as error:
        raise InfluxRefusedError(
            f"The org {ORG} is taken by others in InfluxDB at {admin.url}, or the token in {ADMIN_TOKEN} is not the "
            f"operator's ({error.said}): use the operator's token, or an InfluxDB of its own."
        ) from error


def _bucket(admin: Influx, org: str) -> tuple[str, Literal["made", "corrected", "as it was"]]:
    """Returns the bucket's id and what was done to it."""
    api = admin.client.buckets_api()
    rules = [BucketRetentionRules(type="expire", every_seconds=RETENTION_DAYS * _DAY)]
    for one in _buckets(admin, org):
        if one.name != BUCKET:
            continue
        if [rule.every_seconds for rule in one.retention_rules] == [RETENTION_DAYS * _DAY]:
            return one.id, "as it was"
        one.retention_rules = rules
        admin.do("the bucket's retention", partial(api.update_bucket, one))
        return one.id, "corrected"
    made = admin.do("to make a bucket", lambda: api.create_bucket(bucket_name=BUCKET, org=org, retention_rules=rules))
    return made.id, "made"


def _token(admin: Influx, role: Role, org: str, bucket: str) -> Literal["made", "replaced", "as it was"]:
    """Makes sure that the file holds a token of just this right, and that there is no second one."""
    api = admin.client.authorizations_api()
    listed = admin.do("to list tokens", lambda: api.find_authorizations(org_id=org))
    ours = [one for one in listed if one.description == role.description]
    resource = PermissionResource(type="buckets", id=bucket, org_id=org)
    permission = Permission(action=role.action, resource=resource)
    wanted = Authorization(org_id=org, permissions=[permission], description=role.description)
    in_file = find_secret(role.file)
    others = [one.name for one in _buckets(admin, org) if one.name != BUCKET]
    is_alone = [_rights(one) for one in ours] == [_rights(wanted)]
    if is_alone and in_file and is_right(admin.url, in_file, role.action, others):
        return "as it was"
    # first away with the old ones: killed in between, the next run finds a file whose token does not work
    for one in ours:
        admin.do("to remove a token", partial(api.delete_authorization, one))
    made = admin.do("to make a token", lambda: api.create_authorization(authorization=wanted))
    write_secret(role.file, made.token)
    return "replaced" if ours else "made"


def _rights(one: Authorization) -> list[tuple[str, str, str | None, str | None]]:
    return [(it.action, it.resource.type, it.resource.id, it.resource.org_id) for it in one.permissions]


def _buckets(admin: Influx, org: str) -> list[Bucket]:
    found: list[Bucket] = admin.do(
        "to list buckets", lambda: admin.client.buckets_api().find_buckets(org_id=org, limit=100).buckets
    )
    return found
