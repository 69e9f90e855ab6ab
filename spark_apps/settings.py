"""Every setting: its name, its default, its environment variable (SHOPSTREAM_<NAME>)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from spark_apps.errors import UserError
from spark_apps.platform.sizes import Size
from spark_apps.storage import StoragePath, root_path

EngineChoice = Literal["auto", "local", "spark"]
AlsLibrary = Literal["auto", "implicit", "mllib"]

GIB = 1024**3
# one infinite weight times nothing is not a number, and such a product is in no list
_FINITE = ConfigDict(allow_inf_nan=False)


def host_memory() -> int:
    """Returns the machine's physical memory in bytes, or 8 GiB where the platform does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 8 * GIB


def default_driver_memory() -> str:
    """Returns the local JVM heap: a quarter of the machine, between 1 and 6 GiB."""
    return f"{min(6, max(1, host_memory() // 4 // GIB))}g"


# SPEC F3
class EventScores(BaseModel):
    """Points an event adds to the implicit score of its (user, product)."""

    model_config = _FINITE

    view: float = 1.0
    cart: float = 3.0
    purchase: float = 5.0
    remove_from_cart: float = -1.0
    cap: float = Field(10.0, gt=0, description="highest score of one (user, product)")


# SPEC G3
class SegmentThresholds(BaseModel):
    """Thresholds of the rules that name clusters by their means."""

    model_config = _FINITE

    vip_monetary: float = Field(500.0, description="mean monetary above this, in the currency of price")
    vip_frequency: float = Field(10.0, description="and mean frequency above this, in active days")
    vip_recency: float = Field(30.0, description="and mean recency below this, in days")
    loyal_frequency: float = Field(5.0, description="mean frequency above this, in active days")
    loyal_recency: float = Field(60.0, description="and mean recency below this, in days")
    active_recency: float = Field(30.0, description="mean recency below this, in days")
    active_conversion: float = Field(0.1, description="and mean conversion rate above this")
    dormant_recency: float = Field(60.0, description="mean recency above this, in days")
    dormant_frequency: float = Field(3.0, description="and mean frequency below this, in active days")


# SPEC R1
class AlsParameters(BaseModel):
    """Parameters of alternating least squares."""

    model_config = _FINITE

    rank: int = Field(50, ge=1, description="length of a factor")
    iterations: int = Field(15, ge=1, description="ALS iterations, at most")
    regularization: float = Field(
        0.1, ge=0, description="how hard large factors are punished; not the same in both libraries"
    )
    alpha: float = Field(1.0, gt=0, description="confidence of a pair = 1 + alpha * score")


class BlendWeights(BaseModel):
    """Weights of the hybrid's parts beside ALS, whose weight is 1: see recommendation/hybrid.py."""

    model_config = _FINITE

    affinity: float = Field(0.3, ge=0, description="of the logarithm of the affinity to the product's kind")
    content: float = Field(0.0, ge=0, description="of the cosine with what the user cared for")
    popularity: float = Field(0.0, ge=0, description="of the logarithm of the product's summed scores")
    segment: float = Field(0.1, ge=0, description="of the logarithm of the segment's lift")


class Settings(BaseSettings):
    """What a run can be told, from the command line first, then the environment, then these defaults."""

    model_config = SettingsConfigDict(
        env_prefix="SHOPSTREAM_", env_nested_delimiter="__", frozen=True, allow_inf_nan=False
    )

    root: str = Field("data", description="folder or URI under which raw/, processed/, models/ and temp/ stand")
    webhdfs: str | None = Field(None, description="NameNode's HTTP address, default: port 9870 of the root's host")
    hdfs_user: str | None = Field(None, description="user on HDFS, default: the one who runs the command")
    replication: int | None = Field(
        None, ge=1, description="copies of files that are written on HDFS, default: as HDFS thinks best"
    )
    engine: EngineChoice = Field(
        "auto", description="local: processes of this machine; spark; auto: Spark for a root on HDFS or a given master"
    )
    master: str = Field("local[*]", description="Spark master")
    memory: Size = Field(
        default_factory=lambda: max(GIB, host_memory() // 4),
        ge=64 * 1024**2,
        description="what queries of the local engine may take before they spill to disk: bytes, or 512m, 8g",
    )
    driver_memory: str = Field(default_factory=default_driver_memory, description="heap of the local JVM")
    shuffle_partitions: int | None = Field(None, ge=1, description="default: four for each local core")
    most_cores: int | None = Field(None, ge=1, description="cores that an application takes of a cluster, default: all")
    spark_ui: bool = Field(False, description="serve the Spark UI on 127.0.0.1:4040 while a job runs")
    debug: bool = Field(False, description="show stack traces and Spark's own warnings")
    seed: int = Field(42, description="seed of everything random")

    scores: EventScores = EventScores()
    segments: SegmentThresholds = SegmentThresholds()
    als: AlsParameters = AlsParameters()
    blend: BlendWeights = BlendWeights()
    als_library: AlsLibrary = Field("auto", description="what fits the ALS factors")
    als_task_memory: Size = Field(
        default_factory=lambda: host_memory() // 4,
        description="bytes that the one task in which implicit fits may take (its rule: recommendation/als.py)",
    )
    top: int = Field(10, ge=1, le=1000, description="recommendations kept per user")
    exclude_purchased: bool = Field(True, description="leave out products the user has bought")
    exclude_viewed: bool = Field(False, description="leave out every product the user has touched")
    popular_kept: int = Field(100, ge=1, description="products kept in each popularity list")
    gate_margin: float = Field(
        0.05, ge=0, le=1, description="share of the promoted version's NDCG@10 that a promotion may lose"
    )
    cluster_curve_users: int = Field(
        20_000, ge=100, description="users sampled for silhouette curve and stability; twice as many start k-means"
    )
    affinities_kept: int = Field(10, ge=1, description="categories, and brands, kept per segment as its affinities")
    affinity_users: int = Field(20, ge=1, description="users of a segment who like what counts as its affinity")
    affinity_support: float = Field(0.01, ge=0, le=1, description="and their share of the segment's users")
    validation_users: int = Field(2_000, ge=0, description="most users whose last product a training is judged by")
    evaluation_users: int = Field(20_000, ge=1, description="most users that models are evaluated on")
    centre_decay: float = Field(
        0.999, gt=0, le=1, description="what is left after each batch of the weight of former users in the segments"
    )
    segment_margin: float = Field(
        0.4,
        ge=0,
        lt=1,
        description="share by which another segment's centre must be nearer before a stream moves a user",
    )
    stream_leap: float = Field(
        24,
        gt=0,
        description="hours without an event after which later ones move a stream's time only if most of a batch are",
    )
    stream_refresh: int = Field(
        30, ge=1, description="batches after which new products and new popularity enter the stream's recommendations"
    )
    evaluation_share: float = Field(0.8, gt=0, lt=1, description="first share of the events, from which models learn")

    influxdb_url: str | None = Field(
        None, description="where the stream's points go, as http://127.0.0.1:8086; default: files in reports/metrics/"
    )
    influxdb_token_file: Path = Field(
        Path("/run/shopstream/writer/influxdb_writer_token"), description="file of the token that may write points"
    )


# Options of `train` and `evaluate` that say how models are made, and where each stands in the settings.
MODEL_OPTIONS: dict[str, tuple[str, ...]] = {
    "als": ("als_library",),
    **{name: ("als", name) for name in AlsParameters.model_fields},
    **{f"{name}-weight": ("blend", name) for name in BlendWeights.model_fields},
}


def load_settings(**overrides: object) -> Settings:
    """Builds the settings of one command.

    Args:
        overrides: values given on the command line; None means not given.

    Raises:
        UserError: when a value cannot be used, naming the setting and the reason.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings(**given)  # type: ignore[arg-type]  # pydantic checks the values
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise UserError(f"Setting {name} cannot be {first['input']!r}: {first['msg']}.") from None


def table_root(settings: Settings) -> StoragePath:
    """Returns the folder, here or on HDFS, under which tables and models stand.

    Raises:
        UserError: when the root is no folder and no hdfs:// URI.
    """
    return root_path(settings.root, settings.webhdfs, settings.hdfs_user, settings.replication)


def local_root(settings: Settings) -> Path:
    """Returns the root as a folder of this machine.

    Raises:
        UserError: when it is on HDFS.
    """
    root = table_root(settings)
    if not isinstance(root, Path):
        raise UserError(f"--root {settings.root}: this command works in a folder of this machine; name one.")
    return root
