"""The models of a stream: loaded as training left them, with the products and scores that the stream has seen since."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from spark_apps.errors import MissingModelError
from spark_apps.jobs.segment import load_model
from spark_apps.jobs.train.hybrid import item_factors, weights_of
from spark_apps.recommendation.fold_in import FoldIn
from spark_apps.recommendation.hybrid import HybridRecommender, hybrid_of
from spark_apps.registry.serving import als_library, current
from spark_apps.registry.versions import ALS, HYBRID, NAMES, SEGMENTS, Metadata, complete
from spark_apps.segmentation.inputs import Scale
from spark_apps.segmentation.rfm import Cuts
from spark_apps.settings import AlsParameters, Settings
from spark_apps.storage import StoragePath
from spark_apps.streaming.online_kmeans import Centres
from spark_apps.streaming.scoring import Models


@dataclass(frozen=True)
class Placement:
    """How users are placed in segments: scale and centres of the training, cuts of RFM, names of the clusters."""

    scale: Scale
    centres: Centres
    cuts: Cuts
    names: Mapping[int, str]


@dataclass(frozen=True)
class Served:
    """The versions of models that a stream works with: model -> folder and metadata."""

    folders: dict[str, StoragePath]
    metadata: dict[str, Metadata]

    @property
    def versions(self) -> dict[str, str]:
        """Model -> version."""
        return {name: one.version for name, one in self.metadata.items()}


def versions_in_force(root: StoragePath) -> Served:
    """Returns the versions that jobs use now.

    Raises:
        MissingModelError: when nothing was trained yet.
    """
    return _served({name: current(root, name) for name in NAMES})


def versions_named(root: StoragePath, versions: dict[str, str]) -> Served:
    """Returns the versions that a stream began with.

    Raises:
        MissingModelError: when one is gone.
    """
    found = {name: complete(root, name, version) for name, version in versions.items()}
    for name, one in found.items():
        if one is None:
            raise MissingModelError(name)
    return _served({name: one for name, one in found.items() if one is not None})


def _served(found: dict[str, tuple[StoragePath, Metadata]]) -> Served:
    return Served({name: one[0] for name, one in found.items()}, {name: one[1] for name, one in found.items()})


def load_placement(served: Served) -> Placement:
    """Loads the segments model."""
    metadata = served.metadata[SEGMENTS]
    model = load_model(served.folders[SEGMENTS], metadata)
    users = {int(cluster["cluster"]): float(cluster["users"]) for cluster in metadata.metrics["clusters"]}
    weights = pa.array([users.get(number, 0.0) for number in range(len(model.centres))]).to_numpy()
    return Placement(model.scale, Centres(model.centres, weights), model.cuts, model.names)


def load_recommender(served: Served, products: pa.Table, scores: pa.Table, settings: Settings) -> Models:
    """Builds what recommends.

    Args:
        served: the versions.
        products: product_id, category_code, brand, avg_price, users: one row per product.
        scores: segment, product_id, score.
        settings: how many popular products are kept.
    """
    metadata = served.metadata[HYBRID]
    segments, weights = metadata.segments, weights_of(metadata)
    items = item_factors(served.folders[ALS])
    # of segments made by `shopstream segment` after the training, the hybrid knows nothing
    theirs = scores.filter(pc.is_in(scores["segment"], value_set=pa.array(segments)))
    hybrid = hybrid_of(products, theirs, items, segments, weights, settings.popular_kept)
    return Models(hybrid, fold_in_of(hybrid, served.metadata[ALS]), segments)


def fold_in_of(hybrid: HybridRecommender, metadata: Metadata) -> FoldIn:
    """Returns what folds users into the factors of an ALS version."""
    told = {name: metadata.parameters[name] for name in AlsParameters.model_fields}
    parameters = AlsParameters(**told)
    scaled = als_library(metadata.parameters) == "mllib"
    return FoldIn(hybrid.als, parameters.regularization, parameters.alpha, scaled)


def popular(models: Models, n: int) -> tuple[int, ...]:
    """Returns the n products with the highest summed scores."""
    catalogue = models.hybrid.catalogue
    return tuple(int(one) for one in catalogue.ids[catalogue.most_popular[:n]])
