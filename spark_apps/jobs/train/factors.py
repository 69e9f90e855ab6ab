"""ALS of a training: the numbering of ids, the library that fits, and the model's folder (SPEC R1).

models/als/<version>/ is Spark's ALSModel, with userIndex and productIndex beside it where ids need more than 32 bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from spark_apps.engine.base import Done, Engine, Relation
from spark_apps.errors import UserError
from spark_apps.jobs.train.hybrid import PRODUCT_INDEX, USER_INDEX
from spark_apps.jobs.train.validation import Learned
from spark_apps.recommendation import als, ids
from spark_apps.registry.spark_ml import write_als_metadata
from spark_apps.runtime.threads import task_threads
from spark_apps.settings import AlsLibrary, AlsParameters, Settings
from spark_apps.storage import StoragePath
from spark_apps.storage.transaction import Transaction

if TYPE_CHECKING:
    from spark_apps.engine.mllib import Found

_USER_FACTORS, _ITEM_FACTORS, _BY_USER = "userFactors", "itemFactors", "factors_by_user"


@dataclass(frozen=True)
class Indexes:
    """Folders with numberings of ids that do not fit 32 bits; None where they do."""

    users: StoragePath | None
    products: StoragePath | None

    def inputs(self) -> dict[str, Relation]:
        """Inputs of `als.fit_model`."""
        named = {als.USER_INDEX: self.users, als.PRODUCT_INDEX: self.products}
        return {name: Relation.of(folder, ids.INDEX) for name, folder in named.items() if folder is not None}


@dataclass(frozen=True)
class Fitting:
    """What ALS is fitted to, and where.

    Attributes:
        engine: runs the units.
        transaction: holds what is made on the way.
        learned: what is learned from.
        indexes: numberings of ids.
        size: how much there is to factorise.
    """

    engine: Engine
    transaction: Transaction
    learned: Learned
    indexes: Indexes
    size: als.Size

    def library(self, settings: Settings, rank: int) -> AlsLibrary:
        """The library that fits: see recommendation/als.py."""
        if self.engine.name == "local":
            return "implicit"
        return als.choose_library(settings.als_library, self.size, rank, settings.als_task_memory)

    def how(self, settings: Settings, parameters: AlsParameters) -> als.Fit:
        """How implicit is to fit."""
        threads = task_threads_of(self.engine, settings)
        return als.Fit(parameters, settings.seed, threads, tuple(self.indexes.inputs()))


@dataclass(frozen=True)
class Fitted:
    """What fitted ALS, and in how many iterations."""

    library: AlsLibrary
    iterations: int

    def described(self, parameters: AlsParameters) -> str:
        """Returns rank, iterations beside the most that were asked for, and library, in words."""
        iterations = f"{self.iterations} of at most {parameters.iterations} iterations"
        return f"rank {parameters.rank}, {iterations}, {self.library}"


def task_threads_of(engine: Engine, settings: Settings) -> int:
    """Returns the native threads that a single task may have beside those that the engine gives it."""
    return 1 if engine.name == "local" else task_threads(settings.master)


def refuse_mllib_without_spark(engine: Engine, settings: Settings) -> None:
    """Refuses to begin what could not be ended.

    Raises:
        UserError: when MLlib is to fit ALS on the local engine.
    """
    if engine.name == "local" and settings.als_library == "mllib":
        raise UserError("MLlib fits ALS on Spark only: choose --als implicit, or --engine spark.")


def number_ids(engine: Engine, transaction: Transaction, users: Relation, products: Relation) -> Indexes:
    """Numbers the ids of users and products, where they do not fit 32 bits.

    Args:
        engine: runs the unit.
        transaction: holds the numberings.
        users: with user_id, a row a user.
        products: with product_id, a row a product.
    """
    return Indexes(
        _numbered(engine, users.select("user_id"), transaction.scratch(USER_INDEX)),
        _numbered(engine, products.select("product_id"), transaction.scratch(PRODUCT_INDEX)),
    )


def _numbered(engine: Engine, relation: Relation, folder: StoragePath) -> StoragePath | None:
    done = engine.run(ids.number_ids, {"ids": relation}, outputs={"index": folder})
    return folder if done.rows["index"] else None


def stage_als(fitting: Fitting, settings: Settings, folder: StoragePath) -> tuple[Fitted, Relation]:
    """Fits ALS and writes the model's folder.

    Args:
        fitting: what to fit to, and where.
        settings: parameters, seed, and the library that is asked for.
        folder: staged, new.

    Returns:
        What fitted, and the users' factors by the users' own ids, als.USER_FACTORS.
    """
    by_user = fitting.transaction.scratch(_BY_USER)
    if fitting.library(settings, settings.als.rank) == "mllib":
        _mllib(fitting, settings, settings.als).save(folder, by_user)
        fitted = Fitted("mllib", settings.als.iterations)
    else:
        outputs = {"user_factors": folder / _USER_FACTORS, "item_factors": folder / _ITEM_FACTORS, _BY_USER: by_user}
        inputs = {**fitting.learned.inputs(), **fitting.indexes.inputs()}
        done = fitting.engine.run(als.fit_model, inputs, outputs=outputs, shared=fitting.how(settings, settings.als))
        write_als_metadata(folder, settings.als.rank)
        fitted = _by_implicit(done)
    for name, index in ((USER_INDEX, fitting.indexes.users), (PRODUCT_INDEX, fitting.indexes.products)):
        if index is not None:
            index.rename(folder / name)
    return fitted, Relation.of(by_user, als.USER_FACTORS)


def trial_factors(
    fitting: Fitting, settings: Settings, parameters: AlsParameters, users: pa.Array
) -> tuple[Fitted, pa.Table, pa.Table]:
    """Fits ALS for a trial, and writes nothing.

    Brings to this process rank x 4 bytes per product and wanted user: 85 MB for 167,000 products at rank 128.

    Args:
        fitting: what to fit to, and where.
        settings: seed, and the library that is asked for.
        parameters: of the trial.
        users: whose factors are wanted, rising.

    Returns:
        What fitted, als.USER_FACTORS of these users, and als.PRODUCT_FACTORS.
    """
    if fitting.library(settings, parameters.rank) == "mllib":
        found = _mllib(fitting, settings, parameters)
        # a row a product
        return Fitted("mllib", parameters.iterations), found.users_of(users), found.products.toArrow()
    trial = als.TrialFit(fitting.how(settings, parameters), users.to_numpy())
    done = fitting.engine.run(als.fit_trial, fitting.learned.inputs(), shared=trial)
    return _by_implicit(done), done.result("users", als.USER_FACTORS), done.result("products", als.PRODUCT_FACTORS)


def _by_implicit(done: Done) -> Fitted:
    return Fitted("implicit", done.results["fitted"]["iterations"][0].as_py())


def _mllib(fitting: Fitting, settings: Settings, parameters: AlsParameters) -> Found:
    from spark_apps.engine import mllib  # Spark's, which a local run has no use for

    inputs = {**fitting.learned.inputs(), **fitting.indexes.inputs()}
    return mllib.fit(fitting.engine, inputs, parameters, settings.seed, fitting.transaction.scratch("checkpoint"))
