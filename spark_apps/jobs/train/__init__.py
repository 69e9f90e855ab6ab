"""`shopstream train`: features, segments, ALS and every user's list, on either engine (SPEC R1, R4, M1)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from spark_apps.engine.base import Engine, Relation
from spark_apps.engine.published import stored_schema
from spark_apps.errors import NothingToLearnError, TooFewToTuneError
from spark_apps.jobs import features as features_job
from spark_apps.jobs import segment as segment_job
from spark_apps.jobs.features import FeatureTables
from spark_apps.jobs.train import factors as factors_job
from spark_apps.jobs.train import validation
from spark_apps.jobs.train.factors import Fitting
from spark_apps.jobs.train.hybrid import load_hybrid, load_without_factors, stage_hybrid
from spark_apps.jobs.train.validation import Learned
from spark_apps.progress import step
from spark_apps.recommendation import als, lists, popularity
from spark_apps.recommendation.hybrid import HybridRecommender
from spark_apps.registry.promotion import Candidate, Decision, publish_training
from spark_apps.registry.versions import ALS, HYBRID, NAMES, POPULARITY, Metadata, new_version, write_metadata
from spark_apps.settings import Settings
from spark_apps.storage import StoragePath
from spark_apps.storage.transaction import Transaction
from spark_apps.tables import (
    INTERACTIONS,
    PRODUCT_FEATURES,
    RECOMMENDATIONS,
    USER_FEATURES,
    USER_SEGMENTS,
    DateRange,
    model_path,
)

if TYPE_CHECKING:
    from spark_apps.jobs.train.tune import Tuning

LISTS = "lists"


@dataclass(frozen=True)
class _Run:
    """What every step of one training works with."""

    engine: Engine
    settings: Settings
    transaction: Transaction
    version: str
    tables: FeatureTables
    size: als.Size

    def stage(self, name: str) -> StoragePath:
        """The folder in which a model's files are put together."""
        return self.transaction.stage(model_path(name, self.version))

    def publish(self, metadata: Metadata) -> None:
        """Ends a model's files with its metadata."""
        write_metadata(self.stage(metadata.name), metadata)
        self.transaction.replace(model_path(metadata.name, metadata.version))


@dataclass(frozen=True)
class _Lesson:
    """What recommenders learn from: interactions without those held back for validation, users in their segments.

    Attributes:
        learned: from `validation.hold_back`.
        segments: columns of the table of segments.
        names: of the segments, in the order of the models' tastes.
    """

    learned: Learned
    segments: Relation
    names: list[str]


@dataclass(frozen=True)
class Training:
    """The metadata of the models that one training made, and whether they were promoted."""

    als: Metadata
    segments: Metadata
    decision: Decision


def run(
    engine: Engine,
    settings: Settings,
    root: StoragePath,
    dates: DateRange,
    k: str,
    force: bool = False,
    trials: int = 0,
) -> Training:
    """Trains everything on the clean events of a range of dates and publishes it at one moment.

    Args:
        engine: runs the units.
        settings: the run's settings.
        root: folder of the tables and models.
        dates: which events.
        k: number of clusters, or `auto`.
        force: whether models that the promotion policy refuses are promoted too.
        trials: fits of ALS by which parameters are tuned before; 0 takes those of the settings.

    Raises:
        UserError: when MLlib is to fit ALS on the local engine.
        TooFewToTuneError: when there are too few users to tune on.
        NothingToLearnError: when nobody's score of any product is above 0, as in a log of removals alone.
    """
    factors_job.refuse_mllib_without_spark(engine, settings)
    version = new_version(root)
    targets = [
        *features_job.TARGETS,
        *segment_job.targets(version),
        RECOMMENDATIONS.path,
        *(model_path(name, version) for name in (ALS, POPULARITY, HYBRID)),
    ]
    with Transaction(root, targets) as transaction:
        with step("Features") as shown:
            tables = features_job.build(engine, settings, root, transaction, dates)
            size = als.Size(*(tables.rows[table.name] for table in (USER_FEATURES, PRODUCT_FEATURES, INTERACTIONS)))
            shown.done = f"{size.users:,} users, {size.products:,} products, {size.pairs:,} pairs"
        if trials and not validation.wanted(size.users, settings):
            raise TooFewToTuneError(math.ceil(validation.LEAST / validation.SHARE), validation.LEAST)
        under_way = _Run(engine, settings, transaction, version, tables, size)
        with step("Segments") as shown:
            segmented = _segment(under_way, k)
            shown.done = ", ".join(segmented.segments)
        metadata = _recommend(under_way, segmented, trials)
        decision = _commit(under_way, root, metadata, force)
    return Training(metadata, segmented, decision)


def _commit(run: _Run, root: StoragePath, validated: Metadata, force: bool) -> Decision:
    """Commits everything; the promotion policy decides by the validation figures in one model's metadata."""
    tables = (RECOMMENDATIONS, USER_SEGMENTS)
    candidate = Candidate(validated.version, NAMES, tables, validated.name, validated.metrics)
    with step("Publishing") as shown:
        decision = publish_training(root, run.transaction, candidate, run.settings.gate_margin, force)
        shown.done = str(decision)
    return decision


def _segment(run: _Run, k: str) -> Metadata:
    tables, counts = run.tables, {"products": run.size.products, "interactions": run.size.pairs}
    inputs = segment_job.Inputs(tables.users, tables.products, tables.interactions, counts)
    return segment_job.build(run.engine, run.settings, run.transaction, inputs, run.version, k).metadata


def _recommend(run: _Run, segmented: Metadata, trials: int) -> Metadata:
    """Makes popularity, ALS, the hybrid and every user's list; returns the metadata of ALS."""
    with step("Popular products and content"):
        lesson = _lesson(run, segmented)
        liked = _stage_popularity(run, lesson)
        indexes = factors_job.number_ids(run.engine, run.transaction, run.tables.users, run.tables.products)
    if not liked:
        raise NothingToLearnError
    fitting = Fitting(run.engine, run.transaction, lesson.learned, indexes, run.size)
    tuning = _tuned(run, lesson, fitting, trials)
    if tuning is not None:
        run = replace(run, settings=_with_best(run.settings, tuning))
    settings = run.settings
    with step("ALS") as shown:
        fitted, factors = factors_job.stage_als(fitting, settings, run.stage(ALS))
        shown.done = fitted.described(settings.als)
    with step(f"Top {settings.top} for every user") as shown:
        hybrid = load_hybrid(run.stage(HYBRID), run.stage(ALS), lesson.names, settings.blend, settings.popular_kept)
        metrics = _stage_lists(run, lesson, factors, hybrid)
        metrics |= {"tuning": tuning.described().figures()} if tuning is not None else {}
        shown.done = f"{metrics['users_with_list']:,} users"
    if len(lesson.learned.users):
        metrics["validation"] = _validated(run, lesson, factors, hybrid)
    parameters = {**settings.als.model_dump(), "als": fitted.library, "scores": settings.scores.model_dump()}
    als_metadata = _metadata(run, lesson, ALS, parameters, {**metrics, "iterations": fitted.iterations})
    run.publish(als_metadata)
    run.publish(_metadata(run, lesson, POPULARITY, {"kept": settings.popular_kept}, {}))
    run.publish(_metadata(run, lesson, HYBRID, {"blend": settings.blend.model_dump()}, metrics))
    return als_metadata


def _lesson(run: _Run, segmented: Metadata) -> _Lesson:
    learned = validation.hold_back(run.engine, run.settings, run.transaction, run.tables.interactions, run.size.users)
    # those that somebody is in
    names = {cluster["name"] for cluster in segmented.metrics["clusters"] if cluster["users"]}
    segments = Relation.of(run.transaction.stage(USER_SEGMENTS.path), stored_schema(USER_SEGMENTS))
    return _Lesson(learned, segments, sorted(names))


def _stage_popularity(run: _Run, lesson: _Lesson) -> int:
    """Returns how many users' scores of a product are above 0."""
    return stage_hybrid(
        run.engine,
        run.transaction,
        run.stage(HYBRID),
        run.stage(POPULARITY) / LISTS,
        lesson.learned,
        lesson.segments,
        run.tables.products,
        run.settings.popular_kept,
    )


def _tuned(run: _Run, lesson: _Lesson, fitting: Fitting, trials: int) -> Tuning | None:
    if not trials or not len(lesson.learned.users):
        return None
    # Optuna takes a third of a second to load, and most trainings none
    from spark_apps.jobs.train.tune import ground, tune

    settings = run.settings
    model = load_without_factors(run.stage(HYBRID), lesson.names, settings.blend, settings.popular_kept)
    return tune(settings, ground(fitting, lesson.segments, model, lesson.names), trials)


def _with_best(settings: Settings, tuning: Tuning) -> Settings:
    return settings.model_copy(update={"als": tuning.best.als, "blend": tuning.best.blend})


def _stage_lists(run: _Run, lesson: _Lesson, factors: Relation, hybrid: HybridRecommender) -> dict[str, Any]:
    settings = run.settings
    inputs = {
        "interactions": run.tables.interactions.select(*lists.TOUCHED),
        "segments": lesson.segments.select(*popularity.PLACED),
        "factors": factors,
    }
    listing = lists.Listing(hybrid, lesson.names, settings.top, settings.exclude_purchased, settings.exclude_viewed)
    outputs = {RECOMMENDATIONS.name: run.transaction.stage(RECOMMENDATIONS.path)}
    done = run.engine.run(lists.user_lists, inputs, "user_id", outputs, listing, row_seconds=lists.ROW_SECONDS)
    run.transaction.replace(RECOMMENDATIONS.path)
    return lists.list_figures(done.results["counts"], done.results["scores"], len(hybrid.catalogue))


def _validated(run: _Run, lesson: _Lesson, factors: Relation, hybrid: HybridRecommender) -> dict[str, Any]:
    with step("Validation") as shown:
        found = validation.validate(
            run.engine,
            run.transaction,
            hybrid,
            lesson.learned,
            lesson.segments,
            factors,
            lesson.names,
            run.size.users,
            run.settings.seed,
        )
        shown.done = _compared(found)
    return found


def _compared(found: dict[str, Any]) -> str:
    ours, popular = (found[model]["ndcg"]["value"] for model in ("hybrid", "popularity"))
    return f"NDCG@10 {ours:.4f}, of popularity {popular:.4f}, for the last product of {found['users']:,} users"


def _metadata(run: _Run, lesson: _Lesson, name: str, parameters: dict[str, Any], metrics: dict[str, Any]) -> Metadata:
    return Metadata.describe(
        name=name,
        version=run.version,
        seed=run.settings.seed,
        first_date=run.tables.first_date.isoformat(),
        last_date=run.tables.last_date.isoformat(),
        reference_date=run.tables.reference_date.isoformat(),
        users=run.size.users,
        products=run.size.products,
        interactions=run.size.pairs,
        segments=lesson.names,
        parameters=parameters,
        metrics=metrics,
    )
