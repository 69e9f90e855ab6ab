"""Moving the aliases: at the end of a training as the promotion policy says, by hand, and back (SPEC M2).

Every move is read, decided and published within one hold of the lock under which everything is published. So moves
at the same time come one after the other, and aliases, models and tables of a training appear together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from spark_apps.errors import MissingModelError, UserError
from spark_apps.registry.alias import Alias, Promotion, read_alias, rollback_versions, stage_alias
from spark_apps.registry.promotion_policy import Verdict, promotion_verdict
from spark_apps.registry.serving import MADE_WITH, note_version, promoted
from spark_apps.registry.versions import complete, version_names, write_verdict
from spark_apps.storage import StoragePath
from spark_apps.storage.transaction import Transaction
from spark_apps.tables import MODELS, Table, model_path


@dataclass(frozen=True)
class Candidate:
    """A training's models and tables, staged for transaction.

    Attributes:
        version: of all its models.
        models: their names.
        tables: the staged ones of serving.MADE_WITH.
        validated: the model whose metadata hold the validation figures.
        metrics: of that model.
    """

    version: str
    models: tuple[str, ...]
    tables: tuple[Table, ...]
    validated: str
    metrics: dict[str, Any]


@dataclass(frozen=True)
class Decision:
    """What became of a training.

    Attributes:
        version: of its models.
        promotion: of all of them; None when the promotion policy refused them.
        reason: the promotion policy's, as a sentence without its full stop.
        kept_tables: names of tables that stayed as they were.
    """

    version: str
    promotion: Promotion | None
    reason: str
    kept_tables: tuple[str, ...] = ()

    def __str__(self) -> str:
        return str(self.promotion or f"version {self.version} is not promoted: {self.reason}")


def publish_training(
    root: StoragePath, transaction: Transaction, candidate: Candidate, margin: float, force: bool
) -> Decision:
    """Commits a training's transaction, with its aliases if the promotion policy lets it pass or `force` is given.

    A refused version is published to be looked at; aliases stay, and so do the tables that jobs use together with
    the promoted version. Where no version is promoted, jobs use the new one nevertheless, and its tables with it.

    Args:
        root: folder of the tables and models.
        transaction: with everything staged and noted.
        candidate: what is in it.
        margin: the promotion policy's.
        force: whether a version that the promotion policy refuses is promoted too.
    """
    with transaction.exclusive():
        verdict = promotion_verdict(candidate.metrics, _promoted_metrics(root, candidate.validated), margin)
        decision = _decided(root, candidate, verdict, force)
        _write_notes(transaction, candidate, verdict)
        for table in candidate.tables:
            if table.name in decision.kept_tables:
                transaction.keep(table.path)
        if decision.promotion is not None:
            for name in candidate.models:
                stage_alias(transaction, root, name, decision.promotion)
        transaction.commit()
    return decision


def publish_without_policy(
    root: StoragePath, transaction: Transaction, name: str, version: str, table: Table, command: str
) -> None:
    """Commits and promotes one model with its table, made by a command that the policy does not cover.

    Args:
        root: folder of the tables and models.
        transaction: with both staged and noted.
        name: the model.
        version: its version.
        table: made with it.
        command: who made both, for the reason.
    """
    with transaction.exclusive():
        note_version(transaction.stage(table.path), version)
        promotion = Promotion.now(version, "hand", f"made by `shopstream {command}`, which has no promotion policy")
        stage_alias(transaction, root, name, promotion)
        transaction.commit()


def promote(root: StoragePath, names: Sequence[str], version: str, reason: str | None = None) -> dict[str, Alias]:
    """Promotes a version of one or several models by hand, at one moment.

    Args:
        root: folder of the tables and models.
        names: the models.
        version: a complete version of each.
        reason: why, for the history.

    Returns:
        Where each model's alias stands; one that stood there already was not moved.

    Raises:
        MissingModelError: when a model has no such complete version; then nothing was moved.
    """
    _refuse_untrained(root, names)
    with Transaction(root, []) as transaction, transaction.exclusive():
        moved = {name: _promoted_by_hand(transaction, root, name, version, reason) for name in names}
        transaction.commit()
    return moved


def rollback(root: StoragePath, names: Sequence[str]) -> dict[str, Alias]:
    """Goes back to the version promoted before, of one or several models at one moment.

    Raises:
        UserError: when a model has none that is still complete; then nothing was moved.
    """
    _refuse_untrained(root, names)
    with Transaction(root, []) as transaction, transaction.exclusive():
        moved = {name: _rolled_back(transaction, root, name) for name in names}
        transaction.commit()
    return moved


def _promoted_metrics(root: StoragePath, name: str) -> dict[str, Any] | None:
    found = promoted(root, name)
    return None if found is None else found[1].metrics


def _decided(root: StoragePath, candidate: Candidate, verdict: Verdict, force: bool) -> Decision:
    if verdict.passed or force:
        promotion = Promotion.now(candidate.version, "gate" if verdict.passed else "force", verdict.reason)
        return Decision(candidate.version, promotion, verdict.reason)
    used_with_promoted = (
        table.name for table in candidate.tables if any(promoted(root, name) for name in MADE_WITH[table])
    )
    return Decision(candidate.version, None, verdict.reason, tuple(used_with_promoted))


def _write_notes(transaction: Transaction, candidate: Candidate, verdict: Verdict) -> None:
    for name in candidate.models:
        write_verdict(transaction.stage(model_path(name, candidate.version)), verdict)
    for table in candidate.tables:
        note_version(transaction.stage(table.path), candidate.version)


def _promoted_by_hand(
    transaction: Transaction, root: StoragePath, name: str, version: str, reason: str | None
) -> Alias:
    found = complete(root, name, version) if version in version_names(root, name) else None
    if found is None:
        raise MissingModelError(name, version)
    before = read_alias(root, name)
    if before is not None and before.version == version:
        return before
    verdict = found[1].verdict
    refused = verdict is not None and not verdict.passed
    usual = "chosen by hand although the promotion policy refused it" if refused else "chosen by hand"
    return stage_alias(transaction, root, name, Promotion.now(version, "hand", reason or usual))


def _rolled_back(transaction: Transaction, root: StoragePath, name: str) -> Alias:
    alias = read_alias(root, name)
    ways = rollback_versions(alias) if alias is not None else []
    target = next((version for version in ways if complete(root, name, version) is not None), None)
    if alias is None or target is None:
        raise UserError(
            f"No complete version of model {name} was promoted before the present one: choose one of "
            f"`shopstream models list` with `shopstream models promote {name} VERSION`."
        )
    return stage_alias(transaction, root, name, Promotion.now(target, "rollback", f"back from {alias.version}"))


def _refuse_untrained(root: StoragePath, names: Sequence[str]) -> None:
    """So that a mistyped root is not made."""
    if not (root / MODELS).is_dir():
        raise MissingModelError(names[0])
