"""`shopstream report`: one HTML page with everything that was computed, readable without a network."""

from __future__ import annotations

from datetime import datetime, timezone

from spark_apps import __version__
from spark_apps.analysis.document import Analysis
from spark_apps.analysis.recommended import describe_recommendations
from spark_apps.engine.base import Engine
from spark_apps.engine.published import table_relation
from spark_apps.errors import MissingModelError, MissingTableError
from spark_apps.evaluation.batch_evaluation import K
from spark_apps.evaluation.compared import Comparison, Conditions, Evaluation, measured_models
from spark_apps.evaluation.negatives import NEGATIVES
from spark_apps.ingestion.manifests import read_manifests
from spark_apps.jobs.generate import PREFIX
from spark_apps.progress import notice
from spark_apps.registry.promotion_policy import VALIDATION
from spark_apps.registry.serving import current, stale_tables
from spark_apps.registry.versions import ALS, HYBRID, SEGMENTS, Metadata
from spark_apps.reports.data import Recommendations, ReportData
from spark_apps.reports.formats import dates
from spark_apps.reports.page import render_report
from spark_apps.segmentation.description import Segments
from spark_apps.storage import StoragePath
from spark_apps.storage.transaction import Transaction
from spark_apps.streaming.timeline import Stretch, timeline
from spark_apps.tables import ANALYSIS, EVALUATION, PRODUCT_FEATURES, RECOMMENDATIONS, REPORT
from spark_apps.telemetry.batch_log import BatchLog

# The latest batches that the page shows, and the points of its charts of them.
_BATCHES, _STRETCHES = 2000, 40
_SCALARS = (str, int, float)


def run(engine: Engine, root: StoragePath) -> StoragePath:
    """Renders what was computed so far and publishes the page.

    Returns:
        The page's path.

    Raises:
        MissingTableError: when nothing was analysed yet.
    """
    if not (root / ANALYSIS).exists():
        raise MissingTableError("analysis", "analyze")
    with Transaction(root, [REPORT]) as transaction:
        page = render_report(_gather(engine, root, transaction.scratch("report")))
        for stale in stale_tables(root):
            notice(f"{stale}: run `{stale.command}` to make it anew.")
        transaction.stage(REPORT).write_bytes(page.encode())
        transaction.replace(REPORT)
        transaction.commit()
    return root / REPORT


def _gather(engine: Engine, root: StoragePath, scratch: StoragePath) -> ReportData:
    analysis = Analysis.model_validate_json((root / ANALYSIS).read_bytes())
    files = [manifest.file for manifest in read_manifests(root)]
    synthetic = any(name.startswith(PREFIX) for name in files)
    days = sorted(analysis.events_by_day)
    return ReportData(
        title=f"What happened in the shop, {dates(days[0], days[-1])}",
        source=", ".join(files),
        synthetic=synthetic,
        made_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        code_version=__version__,
        first_date=days[0],
        last_date=days[-1],
        analysis=analysis,
        segments=_segments(root),
        recommendations=_recommendations(engine, root, scratch),
        stream=_stream(root),
    )


def _metadata(root: StoragePath, name: str) -> Metadata | None:
    try:
        return current(root, name)[1]
    except MissingModelError:
        return None  # the page says which command makes it


def _segments(root: StoragePath) -> Segments | None:
    metadata = _metadata(root, SEGMENTS)
    return None if metadata is None else Segments.model_validate({"seed": metadata.seed, **metadata.metrics})


def _recommendations(engine: Engine, root: StoragePath, scratch: StoragePath) -> Recommendations | None:
    metadata, hybrid = _metadata(root, ALS), _metadata(root, HYBRID)
    if metadata is None or hybrid is None:
        return None
    lists, products = table_relation(root, RECOMMENDATIONS), table_relation(root, PRODUCT_FEATURES)
    return Recommendations(
        parameters={name: value for name, value in metadata.parameters.items() if isinstance(value, _SCALARS)},
        users=metadata.users,
        products=metadata.products,
        interactions=metadata.interactions,
        users_with_list=hybrid.metrics["users_with_list"],
        metrics={name: value for name, value in hybrid.metrics.items() if isinstance(value, int | float)},
        tuning=metadata.metrics.get("tuning"),
        **dict(_comparison(root, hybrid)),
        **dict(describe_recommendations(engine, lists, products, scratch)),
    )


def _stream(root: StoragePath) -> list[Stretch]:
    batch_log = BatchLog(root)
    numbers = batch_log.numbers()[-_BATCHES:]
    records = (record for batch in numbers if (record := batch_log.record(batch)) is not None)
    return list(timeline(records, len(numbers), _STRETCHES))


def _comparison(root: StoragePath, model: Metadata) -> Comparison:
    """How models compare on held-out events: by the published evaluation, else by the training's own validation."""
    path = root / EVALUATION
    if path.exists():
        return Evaluation.model_validate_json(path.read_bytes()).comparison()
    validation = model.metrics.get(VALIDATION)
    if not validation:
        return Comparison()
    conditions = Conditions(k=K, negatives=NEGATIVES, users_evaluated=validation["users"])
    return Comparison(comparison=measured_models(validation), conditions=conditions)
