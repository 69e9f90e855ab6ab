"""Trainings as the registry sees them: small models and tables, published as `train` publishes them."""

from __future__ import annotations

import json
from typing import Any

from spark_apps.registry.alias import read_alias
from spark_apps.registry.promotion import Candidate, Decision, publish_training
from spark_apps.registry.promotion_policy import BASELINE, FIGURE, VALIDATED, VALIDATION
from spark_apps.registry.versions import ALS, NAMES, Metadata, write_metadata
from spark_apps.storage import StoragePath
from spark_apps.storage.transaction import Transaction
from spark_apps.tables import RECOMMENDATIONS, USER_SEGMENTS, model_path

TABLES = (RECOMMENDATIONS, USER_SEGMENTS)
V1, V2, V3, V4 = (f"2019110{day}T000000Z" for day in range(1, 5))
MARGIN = 0.05


def figures(hybrid: float, popularity: float = 0.1) -> dict[str, Any]:
    """Metrics with which the promotion policy compares."""
    return {VALIDATION: {VALIDATED: {FIGURE: {"value": hybrid}}, BASELINE: {FIGURE: {"value": popularity}}}}


def train(
    root: StoragePath, version: str, metrics: dict[str, Any] | None = None, force: bool = False, margin: float = MARGIN
) -> Decision:
    """Publishes a training whose files say which version they are of."""
    targets = [*(table.path for table in TABLES), *(model_path(name, version) for name in NAMES)]
    with Transaction(root, targets) as transaction:
        for name in NAMES:
            _stage_model(transaction, name, version, metrics or {})
        for table in TABLES:
            staged = transaction.stage(table.path)
            staged.mkdir()
            (staged / "part-0.parquet").write_text(version)
            transaction.replace(table.path)
        return publish_training(root, transaction, Candidate(version, NAMES, TABLES, ALS, metrics or {}), margin, force)


def promoted(root: StoragePath) -> dict[str, str | None]:
    """Which version of each model is promoted."""
    aliases = {name: read_alias(root, name) for name in NAMES}
    return {name: alias.version if alias is not None else None for name, alias in aliases.items()}


def tables_of(root: StoragePath) -> dict[str, str]:
    """Of which version each table is, by its rows; checked against what is noted beside them."""
    found = {}
    for table in TABLES:
        found[table.name] = (root / table.path / "part-0.parquet").read_text()
        assert json.loads((root / table.path / "_version.json").read_text()) == {"version": found[table.name]}
    return found


def all_at(version: str | None) -> dict[str, str | None]:
    return dict.fromkeys(NAMES, version)


def tables_at(version: str) -> dict[str, str]:
    return {table.name: version for table in TABLES}


def _stage_model(transaction: Transaction, name: str, version: str, metrics: dict[str, Any]) -> None:
    folder = transaction.stage(model_path(name, version))
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "part-0.parquet").write_text(version)
    known = {"first_date": "2019-10-01", "last_date": "2019-10-31", "users": 3, "products": 2, "interactions": 5}
    parameters = {"als": "implicit", "rank": 50, "iterations": 15} if name == ALS else {}
    metadata = Metadata.describe(
        name=name, version=version, seed=7, segments=[], parameters=parameters, metrics=metrics, **known
    )
    write_metadata(folder, metadata)
    transaction.replace(model_path(name, version))
