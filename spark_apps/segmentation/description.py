"""What is known of a segmentation: the figures that its model's metadata hold."""

from __future__ import annotations

from pydantic import Field

from spark_apps.results import Result
from spark_apps.segmentation.affinities import SegmentAffinities
from spark_apps.segmentation.curve import CurvePoint
from spark_apps.segmentation.profiles import Cluster, Counts, Profile
from spark_apps.segmentation.stability import Stability


class Segments(Result):
    """The clustering, and the RFM groups of the same users.

    cost, silhouette: of the clusters in use; rfm, behaviours: users of each; cross_table: users by RFM group and
    segment; curve: what was tried on a sample; stability: None where it was not measured.
    """

    k: int
    seed: int
    iterations: int
    cost: float | None
    silhouette: float | None
    clusters: list[Cluster]
    curve: list[CurvePoint]
    rfm: Counts
    converged: bool = True
    behaviours: Counts = Field(default_factory=dict)
    cross_table: dict[str, Counts] = Field(default_factory=dict)
    affinities: list[SegmentAffinities] = Field(default_factory=list)
    profiles: list[Profile] = Field(default_factory=list)
    stability: Stability | None = None
