"""A saved segmentation, and the one way to place users in it: at training, and for users who come later (SPEC G5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pyspark.ml import PipelineModel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from spark_apps.schemas import USER_SEGMENTS
from spark_apps.segmentation.behaviour import behaviour_column
from spark_apps.segmentation.inputs import CLUSTER, clustering_input
from spark_apps.segmentation.rfm import Cuts, rfm_columns


@dataclass(frozen=True)
class SegmentModel:
    """What it takes to place a user.

    Attributes:
        pipeline: assembler, scaler and k-means, fitted.
        cuts: of the RFM scores.
        names: the name of every cluster of the pipeline.
    """

    pipeline: PipelineModel
    cuts: Cuts
    names: Mapping[int, str]

    @classmethod
    def from_metrics(cls, pipeline: PipelineModel, metrics: Mapping[str, Any]) -> SegmentModel:
        """Puts a loaded pipeline and its version's metadata together.

        Args:
            pipeline: what the version's folder holds.
            metrics: of the version's metadata.
        """
        names = {int(cluster["cluster"]): str(cluster["name"]) for cluster in metrics["clusters"]}
        return cls(pipeline, metrics["rfm_cuts"], names)


def place_users(model: SegmentModel, features: DataFrame) -> DataFrame:
    """Places users in the segments of a model, row by row: nothing about them changes the model.

    Args:
        model: fresh from training, or loaded.
        features: user_id, purchases and the columns of clusters.FEATURES, of users old or new.

    Returns:
        The columns of schemas.USER_SEGMENTS.
    """
    placed = model.pipeline.transform(clustering_input(features, "purchases"))
    scored = placed.select("user_id", "purchases", CLUSTER, *rfm_columns(model.cuts))
    names = F.create_map(*(F.lit(part) for pair in model.names.items() for part in pair))
    named = {"segment": names[F.col(CLUSTER)], "behaviour": behaviour_column(model.names)}
    return scored.withColumns(named).select(*USER_SEGMENTS.fieldNames())
