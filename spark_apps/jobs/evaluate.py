"""`shopstream evaluate`: every model side by side on what users touched after a moment in time (SPEC R5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timezone
from typing import Any

import pyarrow as pa

from spark_apps import __version__
from spark_apps.engine.base import Engine, Relation
from spark_apps.engine.published import applied_relation
from spark_apps.errors import NothingToDoError, NothingToLearnError
from spark_apps.evaluation import segments as placing
from spark_apps.evaluation import split
from spark_apps.evaluation.batch_evaluation import RESULT, Evaluator, K
from spark_apps.evaluation.bootstrap import LEVEL, RESAMPLES
from spark_apps.evaluation.compared import Evaluation, Interval, TrainingSize
from spark_apps.evaluation.held_back import HELD
from spark_apps.evaluation.negatives import NEGATIVES
from spark_apps.evaluation.protocol import SharedEvaluator, evaluate_users, in_order
from spark_apps.evaluation.summary import Summary
from spark_apps.jobs import features as features_job
from spark_apps.jobs.features import FeatureTables
from spark_apps.jobs.quarantine import require_events
from spark_apps.jobs.train import factors as factors_job
from spark_apps.jobs.train.factors import Fitting
from spark_apps.jobs.train.hybrid import hybrid_with, stage_hybrid
from spark_apps.jobs.train.validation import Learned, gather_evaluated
from spark_apps.progress import step
from spark_apps.recommendation import als, item_knn
from spark_apps.recommendation.catalogue import Catalogue
from spark_apps.recommendation.hybrid import HybridRecommender
from spark_apps.recommendation.item_knn import ItemKnnRecommender, NeighbourSearch
from spark_apps.recommendation.recommenders import PopularityRecommender, Recommender
from spark_apps.segmentation.clusters import fit_clusters, survey
from spark_apps.segmentation.inputs import CLUSTERED, USER_SECONDS
from spark_apps.settings import Settings
from spark_apps.storage import StoragePath, count_rows, write_parquet
from spark_apps.storage.transaction import Transaction
from spark_apps.tables import (
    EVALUATION,
    INTERACTIONS,
    PRODUCT_FEATURES,
    STREAM_EVENTS,
    USER_FEATURES,
    DateRange,
)

_CLUSTERS = 5
_TABLES = (USER_FEATURES, PRODUCT_FEATURES, INTERACTIONS)


@dataclass(frozen=True)
class Run:
    """What every step of an evaluation works with."""

    engine: Engine
    settings: Settings
    transaction: Transaction

    def scratch(self, name: str) -> StoragePath:
        """A path for what is made on the way."""
        return self.transaction.scratch(name)


def run(engine: Engine, settings: Settings, root: StoragePath) -> Evaluation:
    """Trains every model on the first share of the events, judges it on the rest, and publishes evaluation.json.

    Args:
        engine: runs the units.
        settings: the run's settings.
        root: folder of the tables.

    Raises:
        UserError: when MLlib is to fit ALS on the local engine.
        NothingToDoError: when the events cannot be split so that somebody has a history and new products.
    """
    factors_job.refuse_mllib_without_spark(engine, settings)
    require_events(root, DateRange())
    with Transaction(root, [EVALUATION]) as transaction:
        evaluation = _evaluate(Run(engine, settings, transaction), Events.of(root, transaction))
        transaction.stage(EVALUATION).write_bytes(evaluation.to_json().encode())
        transaction.replace(EVALUATION)
        transaction.commit()
    return evaluation


@dataclass(frozen=True)
class Events:
    """The events by date."""

    files: Mapping[date, tuple[StoragePath, ...]]

    @staticmethod
    def of(root: StoragePath, transaction: Transaction) -> Events:
        """Finds the files of events of clean and stream, each event once.

        Args:
            root: folder of the tables.
            transaction: holds copies without events that come again.

        Raises:
            MissingTableError: when `clean` never ran.
        """
        return Events(applied_relation(root, DateRange(), transaction.scratch(STREAM_EVENTS.name)).by_day)

    def rows(self) -> dict[date, int]:
        """Events of each date."""
        return {day: sum(map(count_rows, files)) for day, files in self.files.items()}

    def some(self, days: list[date]) -> Relation:
        """The events of some dates."""
        return Relation(tuple(file for day in days for file in self.files[day]), split.EVENTS_OF_DAY)


@dataclass(frozen=True)
class Cut:
    """Events before and after the cutoff, and the dates that there are of those before."""

    cutoff: datetime
    before: Relation
    days: list[date]
    after: Relation


def _evaluate(run: Run, events: Events) -> Evaluation:
    judged_by = split_in_time(run, events)
    names, users, models = _models(run, judged_by)
    evaluator = Evaluator(
        models.hybrid.catalogue, models.all(), judged_by.size.users, run.settings.seed, models.hybrid.als
    )
    with step(f"Lists for {len(judged_by.learned.users):,} users") as shown:
        shared = SharedEvaluator(evaluator, names)
        done = run.engine.run(evaluate_users, {"users": users}, "block", shared=shared, row_seconds=shared.user_seconds)
        evaluated = in_order(done.result("evaluated", RESULT))
        shown.done = f"{len(models.all())} models"
    with step("Intervals"):
        figures = [model.name for model in models.all()]
        summary = Summary(evaluated, figures, judged_by.size.products, run.settings.seed)
        return Evaluation(
            **_conditions(run.settings, judged_by),
            models=summary.models(models.hybrid.als.name),
            judged=models.hybrid.name,
            differences=summary.differences(models.hybrid.name),
        )


@dataclass(frozen=True)
class Split:
    """What models learn from, and what they are judged by.

    Attributes:
        cutoff: the first moment that is not training.
        tables: of the training events.
        size: of the tables.
        learned: the interactions, what is held out, and the users to evaluate.
        with_new: number of users from whom they were drawn.
    """

    cutoff: datetime
    tables: FeatureTables
    size: als.Size
    learned: Learned
    with_new: int


def split_in_time(run: Run, events: Events) -> Split:
    """Makes what models learn from, and what they are judged by.

    Raises:
        NothingToDoError: when the events cannot be split so that somebody has a history and new products.
        LeakError: when the tables know of events after the cutoff.
    """
    with step("Split") as shown:
        cut = cut_events(run.engine, events, run.settings.evaluation_share, run.scratch("cut"))
        shown.done = f"training before {cut.cutoff:%Y-%m-%d %H:%M:%S}"
    with step("Features") as shown:
        tables = training_tables(run.engine, run.settings, cut, run.scratch("training"))
        _refuse_leaks(run.engine, tables, cut.cutoff)
        size = als.Size(*(tables.rows[table.name] for table in _TABLES))
        learned, with_new = _held_out(run, tables, cut.after)
        shown.done = f"{size.users:,} users, of whom {with_new:,} touch new products later"
    if not with_new:
        raise NothingToDoError(
            f"No user from before {cut.cutoff:%Y-%m-%d %H:%M:%S} touches a new product afterwards: load more events, "
            "or choose another --share."
        )
    return Split(cut.cutoff, tables, size, learned, with_new)


def cut_events(engine: Engine, events: Events, share: float, folder: StoragePath) -> Cut:
    """Cuts events at the first second by whose end a share of them has happened, so the same on every run.

    Args:
        engine: runs the units.
        events: by date.
        share: of the events, above 0 and below 1.
        folder: new; for the events of the one date that is cut.

    Raises:
        NothingToDoError: when there is no event, or none before the cutoff.
    """
    found = split.day_of_cutoff(events.rows(), share)
    if found is None:
        raise NothingToDoError("There is no clean event to evaluate with: load and clean some first.")
    day, wanted = found
    of_day = events.some([day])
    counted = engine.run(split.count_seconds, {"events": of_day.select("user_id", "event_time")}, by="user_id")
    cutoff = split.cutoff_second(counted.results["seconds"], wanted)
    outputs = {name: folder / name for name in ("before", "after")}
    cut = engine.run(split.cut_day, {"events": of_day}, "user_id", outputs, cutoff)
    earlier, later = sorted(one for one in events.files if one < day), sorted(one for one in events.files if one > day)
    if not earlier and not cut.rows["before"]:
        raise NothingToDoError("All events happened in the same second, so there is no before and after to evaluate.")
    days = [*earlier, day] if cut.rows["before"] else earlier
    return Cut(
        cutoff, _with(events.some(earlier), outputs["before"]), days, _with(events.some(later), outputs["after"])
    )


def _with(relation: Relation, folder: StoragePath) -> Relation:
    return Relation((*relation.files, *Relation.of(folder, relation.schema).files), relation.schema)


def training_tables(engine: Engine, settings: Settings, cut: Cut, folder: StoragePath) -> FeatureTables:
    """Computes the feature tables of the training events.

    Args:
        engine: runs the units.
        settings: the run's settings.
        cut: the events.
        folder: new; for the tables.
    """
    folders = {table.name: folder / table.name for table in _TABLES}
    return features_job.compute(engine, settings, cut.before, cut.days, folders, folder / "product_sums")


def _refuse_leaks(engine: Engine, tables: FeatureTables, cutoff: datetime) -> None:
    inputs = {
        "users": tables.users.select(*split.LEAKING_USERS),
        "interactions": tables.interactions.select(*split.LEAKING_PAIRS),
    }
    leaks = engine.run(split.look_for_leaks, inputs, by="user_id", shared=cutoff).result("leaks", split.LEAKS)
    products = {"products": tables.products.select("product_id", "events")}
    counted = engine.run(split.count_events, products, by="product_id").result("counted", split.COUNTED)
    split.check_no_leak(leaks, counted, cutoff)


def _held_out(run: Run, tables: FeatureTables, after: Relation) -> tuple[Learned, int]:
    """Brings to this process a row of each drawn user from each task: at most evaluation_users a task."""
    settings, folder = run.settings, run.scratch("held")
    options = split.HoldOut(settings.scores, settings.evaluation_users, settings.seed)
    inputs = {
        "events": after.select(*split.LATER),
        "interactions": tables.interactions.select("user_id", "product_id"),
    }
    done = run.engine.run(split.hold_out, inputs, "user_id", {"held": folder}, options)
    drawn = split.lowest(done.result("drawn", split.DRAWN), settings.evaluation_users)
    with_new = sum(done.result("numbers", split.NUMBERS)["users"].to_pylist())
    return Learned(tables.interactions, Relation.of(folder, HELD), drawn), with_new


@dataclass(frozen=True)
class _Models:
    """The hybrid with its parts, and the one baseline that is none of them."""

    hybrid: HybridRecommender
    knn: ItemKnnRecommender

    def all(self) -> list[Recommender]:
        """In the order of tables: the one that is judged against the others comes last."""
        hybrid = self.hybrid
        return [PopularityRecommender(hybrid.catalogue), self.knn, hybrid.als, hybrid.content, hybrid]


def _models(run: Run, judged_by: Split) -> tuple[list[str], Relation, _Models]:
    """Fits everything on the training tables; returns segment names, rows of the users to evaluate, and the models."""
    learned, tables, settings = judged_by.learned, judged_by.tables, run.settings
    with step("Segments"):
        segments, names = _segments(run, tables, judged_by.size.users)
    with step("Content and popularity"):
        folder = run.scratch("hybrid")
        # nothing that is held out is among the interactions
        liked = stage_hybrid(
            run.engine,
            run.transaction,
            folder,
            run.scratch("popular"),
            learned,
            segments,
            tables.products,
            settings.popular_kept,
        )
    if not liked:
        raise NothingToLearnError
    of_users, of_products = _factors(run, judged_by)
    hybrid = hybrid_with(folder, of_products, names, settings.blend, settings.popular_kept)
    with step("Item-kNN") as shown:
        knn = _item_knn(run, judged_by, hybrid.catalogue)
        shown.done = f"{knn.similarity.nnz:,} neighbours"
    rows = gather_evaluated(run.engine, learned, segments, of_users, run.scratch("judged"))
    return names, rows, _Models(hybrid, knn)


def _segments(run: Run, tables: FeatureTables, users: int) -> tuple[Relation, list[str]]:
    """Clusters the training users as `shopstream segment` does; a segment is called by its cluster's number."""
    settings, folder, clustering = run.settings, run.scratch("segments"), None
    rows = tables.users.select(*CLUSTERED.names)
    if users > _CLUSTERS:  # otherwise too few for so many clusters, as for `shopstream segment`
        surveyed = survey(run.engine, rows, users, settings.cluster_curve_users, settings.seed)
        clustering = fit_clusters(surveyed, _CLUSTERS, settings.seed)
    done = run.engine.run(
        placing.place_users, {"users": rows}, "user_id", {"segments": folder}, clustering, row_seconds=USER_SECONDS
    )
    names = set(done.result("names", placing.NAMES)["segment"].to_pylist())
    return Relation.of(folder, placing.SEGMENTED), sorted(names)


def _factors(run: Run, judged_by: Split) -> tuple[Relation, pa.Table]:
    """Factors of the users to evaluate and of all products: see `factors.trial_factors`."""
    settings, tables = run.settings, judged_by.tables
    with step("ALS") as shown:
        indexes = factors_job.number_ids(run.engine, run.transaction, tables.users, tables.products)
        fitting = Fitting(run.engine, run.transaction, judged_by.learned, indexes, judged_by.size)
        fitted, users, products = factors_job.trial_factors(fitting, settings, settings.als, judged_by.learned.users)
        shown.done = fitted.described(settings.als)
    file = run.scratch("factors") / "part-00000.zstd.parquet"
    write_parquet(file, users.select(als.USER_FACTORS.names).cast(als.USER_FACTORS))
    return Relation((file,), als.USER_FACTORS), products


def _item_knn(run: Run, judged_by: Split, catalogue: Catalogue) -> ItemKnnRecommender:
    """Brings to this process at most item_knn.NEIGHBOURS per product."""
    settings, size = run.settings, judged_by.size
    bound = item_knn.bound_of(size.pairs, size.products, settings.als_task_memory)
    search = NeighbourSearch(bound, settings.seed, factors_job.task_threads_of(run.engine, settings))
    inputs = {"interactions": judged_by.tables.interactions.select(*als.RATED)}
    near = run.engine.run(item_knn.find_neighbours, inputs, shared=search).result("neighbours", item_knn.NEAR)
    return ItemKnnRecommender.of(near, catalogue)


def _conditions(settings: Settings, judged_by: Split) -> dict[str, Any]:
    size = judged_by.size
    return {
        "evaluated_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "code_version": __version__,
        "seed": settings.seed,
        "share": settings.evaluation_share,
        "cutoff": judged_by.cutoff.isoformat(),
        "k": K,
        "negatives": NEGATIVES,
        "interval": Interval(level=LEVEL, resamples=RESAMPLES),
        "training": TrainingSize(users=size.users, products=size.products, interactions=size.pairs),
        "users_with_new_products": judged_by.with_new,
        "users_evaluated": len(judged_by.learned.users),
    }
