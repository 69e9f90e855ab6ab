"""What the report shows of the recommendations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypedDict


class RecommendedProduct(TypedDict):
    """A product and the number of users in whose list it stands."""

    product_id: int | str
    users: int
    category_code: str | None
    brand: str | None


class Histogram(TypedDict):
    """Bin edges (one more than the counts) and what is in each bin."""

    bins: Sequence[float]
    counts: Sequence[int]


class PriceHistogram(Histogram):
    """Recommendations by price, with mean, 10th and 90th percentile of their scores; None where none is known."""

    score_mean: Sequence[float | None]
    score_p10: Sequence[float | None]
    score_p90: Sequence[float | None]


class Source(TypedDict):
    """What proposed recommendations; `compared` says whether the charts of scores hold them."""

    source: str
    recommendations: int
    lowest: float | None
    mean: float | None
    highest: float | None
    compared: bool


class Named(TypedDict):
    """Recommendations of a category or brand and their mean score; None where none is compared."""

    name: str
    recommendations: int
    mean_score: float | None


class Measure(TypedDict):
    """A figure of an evaluation with the ends of its 95 % interval, None where it has none."""

    value: float | None
    low: float | None
    high: float | None


class _Recommendations(TypedDict):
    parameters: Mapping[str, str | int | float]
    users: int
    products: int
    interactions: int
    users_with_list: int
    metrics: Mapping[str, float | None]
    recommendations: int
    sources: Sequence[Source]
    scores: Histogram
    user_scores: Histogram
    prices: PriceHistogram
    unpriced: int
    categories: Sequence[Named]
    unknown_categories: int
    brands: Sequence[Named]
    unknown_brands: int
    top_products: Sequence[RecommendedProduct]


class Conditions(TypedDict, total=False):
    """How models were compared.

    k: places of a list; negatives: of a sampled measure; users_evaluated: users judged; cutoff: end of the events that
    models learned from, by `shopstream evaluate`; without it the figures are those of the training's own validation.
    """

    k: int
    negatives: int
    users_evaluated: int
    cutoff: str


class Comparison(TypedDict, total=False):
    """How models compare.

    comparison: model -> measure -> figure.
    judged: the model whose lead over the others is in differences.
    differences: other model -> measure -> figure of the judged model minus the other's, paired by user.
    """

    comparison: Mapping[str, Mapping[str, Measure]]
    judged: str
    differences: Mapping[str, Mapping[str, Measure]]
    conditions: Conditions


class Trial(TypedDict):
    """Parameters that were tried, the weights that served them best, and the hybrid's NDCG@10 with both."""

    trial: int
    rank: int
    iterations: int
    regularization: float
    alpha: float
    blend: Mapping[str, float]
    ndcg: float


class Tuned(TypedDict):
    """What a tuning tried on the last product of some users, and the NDCG@10 of the parameters that were given."""

    best: Trial
    trials: Sequence[Trial]
    given_ndcg: float
    users: int


class Recommendations(_Recommendations, Comparison, total=False):
    """The recommendation model, every user's list, how models compare, and what a tuning tried."""

    tuning: Tuned
