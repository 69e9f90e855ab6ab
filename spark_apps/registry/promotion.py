"""Moving the pointers: at the end of a training as the gate says, by hand, and back (SPEC M2).

Every move is read, decided and published within one hold of the lock under which everything is published. So moves
at the same time come one after the other, and pointers, models and tables of a training appear together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from spark_apps.errors import MissingModelError, UserError
from spark_apps.publication import Publication
from spark_apps.registry.gate import Verdict, judge
from spark_apps.registry.pointer import Pointer, Promotion, read_pointer, stage_pointer, ways_back
from spark_apps.registry.serving import MADE_WITH, note_version, promoted
from spark_apps.registry.versions import MODELS, complete, model_path, version_names, write_verdict
from spark_apps.storage import StoragePath
from spark_apps.tables import Table


@dataclass(frozen=True)
class Candidate:
    """A training's models and tables, staged for publication.

    Attributes:
        version: of all its models.
        models: their names.
        tables: the staged ones of serving.MADE_WITH.
        judged: the model whose metadata hold the validation figures.
        metrics: of that model.
    """

    version: str
    models: tuple[str, ...]
    tables: tuple[Table, ...]
    judged: str
    metrics: dict[str, Any]


@dataclass(frozen=True)
class Decision:
    """What became of a training.

    Attributes:
        version: of its models.
        promotion: of all of them; None when the gate refused them.
        reason: the gate's, as a sentence without its full stop.
        kept_tables: names of tables that stayed as they were.
    """

    version: str
    promotion: Promotion | None
    reason: str
    kept_tables: tuple[str, ...] = ()

    def __str__(self) -> str:
        return str(self.promotion or f"version {self.version} is not promoted: {self.reason}")


def publish_training(
    root: StoragePath, publication: Publication, candidate: Candidate, margin: float, force: bool
) -> Decision:
    """Commits a training's publication, with its pointers if the gate lets it pass or `force` is given.

    A refused version is published to be looked at; pointers stay, and so do the tables that jobs use together with
    the promoted version. Where no version is promoted, jobs use the new one nevertheless, and its tables with it.

    Args:
        root: folder of the tables and models.
        publication: with everything staged and noted.
        candidate: what is in it.
        margin: the gate's.
        force: whether a version that the gate refuses is promoted too.
    """
    with publication.alone():
        verdict = judge(candidate.metrics, _promoted_metrics(root, candidate.judged), margin)
        decision = _decided(root, candidate, verdict, force)
        _write_notes(publication, candidate, verdict)
        for table in candidate.tables:
            if table.name in decision.kept_tables:
                publication.leave(table.path)
        if decision.promotion is not None:
            for name in candidate.models:
                stage_pointer(publication, root, name, decision.promotion)
        publication.commit()
    return decision


def publish_ungated(
    root: StoragePath, publication: Publication, name: str, version: str, table: Table, command: str
) -> None:
    """Commits and promotes one model with its table, made by a command that nothing judges.

    Args:
        root: folder of the tables and models.
        publication: with both staged and noted.
        name: the model.
        version: its version.
        table: made with it.
        command: who made both, for the reason.
    """
    with publication.alone():
        note_version(publication.stage(table.path), version)
        promotion = Promotion.now(version, "hand", f"made by `shopstream {command}`, which no gate judges")
        stage_pointer(publication, root, name, promotion)
        publication.commit()


def promote(root: StoragePath, names: Sequence[str], version: str, reason: str | None = None) -> dict[str, Pointer]:
    """Promotes a version of one or several models by hand, at one moment.

    Args:
        root: folder of the tables and models.
        names: the models.
        version: a complete version of each.
        reason: why, for the history.

    Returns:
        Where each model's pointer stands; one that stood there already was not moved.

    Raises:
        MissingModelError: when a model has no such complete version; then nothing was moved.
    """
    _refuse_untrained(root, names)
    with Publication(root, []) as publication, publication.alone():
        moved = {name: _promoted_by_hand(publication, root, name, version, reason) for name in names}
        publication.commit()
    return moved


def rollback(root: StoragePath, names: Sequence[str]) -> dict[str, Pointer]:
    """Goes back to the version promoted before, of one or several models at one moment.

    Raises:
        UserError: when a model has none that is still complete; then nothing was moved.
    """
    _refuse_untrained(root, names)
    with Publication(root, []) as publication, publication.alone():
        moved = {name: _rolled_back(publication, root, name) for name in names}
        publication.commit()
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


def _write_notes(publication: Publication, candidate: Candidate, verdict: Verdict) -> None:
    for name in candidate.models:
        write_verdict(publication.stage(model_path(name, candidate.version)), verdict)
    for table in candidate.tables:
        note_version(publication.stage(table.path), candidate.version)


def _promoted_by_hand(
    publication: Publication, root: StoragePath, name: str, version: str, reason: str | None
) -> Pointer:
    found = complete(root, name, version) if version in version_names(root, name) else None
    if found is None:
        raise MissingModelError(name, version)
    before = read_pointer(root, name)
    if before is not None and before.version == version:
        return before
    verdict = found[1].gate
    refused = verdict is not None and not verdict.passed
    usual = "chosen by hand although the gate refused it" if refused else "chosen by hand"
    return stage_pointer(publication, root, name, Promotion.now(version, "hand", reason or usual))


def _rolled_back(publication: Publication, root: StoragePath, name: str) -> Pointer:
    pointer = read_pointer(root, name)
    ways = ways_back(pointer) if pointer is not None else []
    target = next((version for version in ways if complete(root, name, version) is not None), None)
    if pointer is None or target is None:
        raise UserError(
            f"No complete version of model {name} was promoted before the present one: choose one of "
            f"`shopstream models list` with `shopstream models promote {name} VERSION`."
        )
    return stage_pointer(publication, root, name, Promotion.now(target, "rollback", f"back from {pointer.version}"))


def _refuse_untrained(root: StoragePath, names: Sequence[str]) -> None:
    """So that a mistyped root is not made."""
    if not (root / MODELS).is_dir():
        raise MissingModelError(names[0])
