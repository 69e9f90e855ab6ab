"""The alias `promoted` of each model: which version it names and why, and which it named before (SPEC M2)."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Literal

from pydantic import BaseModel, ValidationError

from spark_apps.progress import notice
from spark_apps.registry.versions import NAMES
from spark_apps.storage import StoragePath, write_durably
from spark_apps.storage.transaction import Transaction
from spark_apps.tables import alias_path

By = Literal["gate", "force", "hand", "rollback"]
# Earlier promotions that are kept of each model: what a rollback can go back through.
KEPT = 20
_HOW = {
    "gate": "is promoted: ",
    "force": "is promoted by --force although ",
    "hand": "is promoted by hand: ",
    "rollback": "is promoted by a rollback: ",
}


class Promotion(BaseModel):
    """One move of the alias.

    Attributes:
        version: the version that it moved to.
        promoted_at: when, UTC, ISO 8601.
        by: what moved it: the promotion policy (`gate`), `train --force` past its refusal, a person, a rollback.
        reason: why, as a sentence without its full stop.
    """

    version: str
    promoted_at: str
    by: By
    reason: str

    @classmethod
    def now(cls, version: str, by: By, reason: str) -> Promotion:
        """Notes a promotion of this moment."""
        moment = datetime.now(timezone.utc).isoformat(timespec="seconds")
        return cls(version=version, promoted_at=moment, by=by, reason=reason)

    def __str__(self) -> str:
        return f"version {self.version} {_HOW[self.by]}{self.reason}"


class Alias(Promotion):
    """The promotion in force, with those before it.

    Attributes:
        history: earlier promotions, the oldest first, at most KEPT.
    """

    history: list[Promotion] = []

    def latest(self) -> Promotion:
        """Returns the promotion in force by itself."""
        return Promotion(**self.model_dump(exclude={"history"}))

    def all(self) -> list[Promotion]:
        """Returns every promotion that is known, the one in force last."""
        return [*self.history, self.latest()]


def read_alias(root: StoragePath, name: str) -> Alias | None:
    """Returns a model's alias; None where no version was promoted, or, with a notice, where it cannot be read."""
    path = root / alias_path(name)
    try:
        return Alias.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError:
        notice(f"{path} is not as shopstream writes it: the promotion of model {name} is taken as unknown.")
        return None


def promoted_since(root: StoragePath, versions: dict[str, str]) -> bool:
    """Says whether other versions of models are promoted than those that a stream works with."""
    aliases = {name: read_alias(root, name) for name in NAMES}
    return any(alias is not None and alias.version != versions[name] for name, alias in aliases.items())


def stage_alias(transaction: Transaction, root: StoragePath, name: str, promotion: Promotion) -> Alias:
    """Stages a model's alias, moved on from where it stands now, for the commit of a transaction.

    The caller keeps others from publishing until then (Transaction.exclusive), so that no move is lost.
    """
    before = read_alias(root, name)
    history = before.all()[-KEPT:] if before is not None else []
    alias = Alias(**promotion.model_dump(), history=history)
    write_durably(transaction.stage(alias_path(name)), alias.model_dump_json(indent=1))
    transaction.replace(alias_path(name))
    return alias


def rollback_versions(alias: Alias) -> list[str]:
    """Returns the versions that a rollback may go back to, the one promoted last first.

    What was rolled back from is not among them: a second rollback goes on to the version before.
    """
    line: list[Promotion] = []
    for promotion in alias.all():
        if promotion.by == "rollback":
            while line and line[-1].version != promotion.version:
                line.pop()
        if not line or line[-1].version != promotion.version:
            line.append(promotion)
    return [one.version for one in reversed(line[:-1]) if one.version != alias.version]
