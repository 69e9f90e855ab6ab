"""Segments and lists of a batch's users: the second of two steps in each task (SPEC T3, T5)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from spark_apps.features.grouping import grouped, summed
from spark_apps.recommendation.fold_in import FoldIn
from spark_apps.recommendation.histories import Histories
from spark_apps.recommendation.hybrid import SOURCES, Explained, HybridRecommender
from spark_apps.recommendation.lists import LISTS, histories_of
from spark_apps.segmentation.inputs import FEATURES, points_of
from spark_apps.segmentation.model import placement_columns
from spark_apps.segmentation.rfm import SCORED, Cuts, rfm_scores
from spark_apps.segmentation.sums import nearest
from spark_apps.settings import Settings
from spark_apps.streaming.figures import Answered
from spark_apps.streaming.online_kmeans import Floats
from spark_apps.streaming.segment_assignment import Placing

# Scores that each part sends for the quantiles of all.
_SCORES_SENT = 4096
LISTED = pa.schema(
    [
        ("listed", pa.list_(pa.int64())),
        ("list_scores", pa.list_(pa.float32())),
        ("list_sources", pa.list_(pa.string())),
    ]
)


@dataclass(frozen=True)
class Models:
    """What recommends: loaded once in each process."""

    hybrid: HybridRecommender
    fold_in: FoldIn
    segments: list[str]


def answer(
    users: pa.Table, models: Models, placing: Placing, cuts: Cuts, settings: Settings
) -> tuple[pa.Table, Answered]:
    """Places users and recommends to them.

    Args:
        users: columns of `user_update.LEARNED`; a block of users that fits the processor's caches.
        models: of the recommendations.
        placing: of the segments.
        cuts: of RFM.
        settings: length of the lists and what is left out.

    Returns:
        The users with the columns of schemas.USER_SEGMENTS and LISTED, and figures.
    """
    features = points_of(users)
    points = placing.scale.standardised(features)
    near = nearest(placing.centres, points)
    clusters = placing.settled(points, near, users["old_segment"])
    scores = rfm_scores({name: features[:, FEATURES.index(name)] for name in SCORED}, cuts)
    names = [placing.names[number] for number in range(len(placing.centres))]
    placed = users
    for name, column in placement_columns(scores, clusters, names, users["purchases"].to_numpy() > 0).items():
        placed = placed.append_column(name, column)
    explained, model = explained_for(placed, models, settings), models.hybrid
    figures = _figures(placed, points, near, explained, model)
    figures.gains.append(_gains(placed))
    for field, column in zip(LISTED, _lists(explained, model), strict=True):
        placed = placed.append_column(field, column.cast(field.type))
    return placed, figures


def list_rows(users: pa.Table) -> pa.Table:
    """Returns the lists of users as rows.

    Args:
        users: user_id and the columns of LISTED.

    Returns:
        The columns of schemas.RECOMMENDATIONS.
    """
    lists = [users[name].combine_chunks() for name in LISTED.names]
    lengths = lists[0].value_lengths().to_numpy()
    ends = np.cumsum(lengths)
    ranks = np.arange(1, lengths.sum() + 1) - np.repeat(ends - lengths, lengths)
    rows = [users["user_id"].combine_chunks().take(pa.array(np.repeat(np.arange(len(users)), lengths)))]
    return pa.table([*rows, pa.array(ranks, pa.int32()), *(one.flatten() for one in lists)], LISTS)


def explained_for(users: pa.Table, models: Models, settings: Settings) -> Explained:
    """Recommends to users whose factors are folded in from what they touched.

    Args:
        users: user_id, segment, products, scores, bought; a row a user.
        models: of the recommendations.
        settings: length of the lists and what is left out.
    """
    (block,) = users.combine_chunks().to_batches(max_chunksize=len(users))
    block = block.append_column("features", pa.nulls(len(users), pa.list_(pa.float32())))
    histories = histories_of(block, models.hybrid.catalogue, models.segments, models.hybrid.als.rank)
    folded: Histories = replace(histories, factors=models.fold_in.factors(histories))
    excluded = folded.left_out(settings.exclude_purchased, settings.exclude_viewed)
    return models.hybrid.explained(folded, excluded, settings.top)


def _lists(explained: Explained, model: HybridRecommender) -> list[pa.Array]:
    """Ids, scores and sources of each user's list."""
    kept = np.isfinite(explained.lists.scores)
    offsets = pa.array(np.concatenate([[0], np.cumsum(kept.sum(axis=1))]), pa.int32())
    ids = pa.array(model.catalogue.ids[explained.lists.ids][kept])
    scores = pa.array(explained.lists.scores[kept])
    sources = pa.DictionaryArray.from_arrays(pa.array(explained.sources[kept]), pa.array(SOURCES)).cast(pa.string())
    return [pa.ListArray.from_arrays(offsets, values) for values in (ids, scores, sources)]


def _figures(
    users: pa.Table, points: Floats, near: NDArray[np.intp], explained: Explained, model: HybridRecommender
) -> Answered:
    old, new = users["old_segment"].to_pylist(), users["segment"].to_pylist()
    spent: Counter[str] = Counter()
    for segment, monetary in zip(new, users["monetary"].to_pylist(), strict=True):
        spent[segment] += monetary
    kept = np.isfinite(explained.lists.scores)
    scores = explained.lists.scores[kept]
    places = np.where(kept, explained.lists.ids, -1)
    said = Counter(explained.sources[kept].tolist())
    return Answered(
        moves=Counter((one, other) for one, other in zip(old, new, strict=True) if one not in (None, other)),
        crossed=Counter(zip(users["rfm_segment"].to_pylist(), new, strict=True)),
        arrived=Counter(segment for was, segment in zip(old, new, strict=True) if was is None),
        seen=Counter(new),
        spent=spent,
        lists=int(kept.any(axis=1).sum()),
        sources=Counter({SOURCES[number]: places for number, places in said.items()}),
        diversity=float(_diversity(places, kept, model).sum()),
        scores=scores[:: max(1, -(-len(scores) // _SCORES_SENT))],
        products=model.catalogue.ids[np.unique(places[kept])],
        sums=_sums(points, near),
        nearest=np.bincount(near),
    )


def _sums(points: Floats, clusters: NDArray[np.intp]) -> Floats:
    """Points added up by cluster; as many rows as the largest cluster's number asks for."""
    sums: Floats = np.zeros((int(clusters.max(initial=-1)) + 1, points.shape[1]))
    np.add.at(sums, clusters, points)
    return sums


def _diversity(places: NDArray[np.int64], kept: NDArray[np.bool_], model: HybridRecommender) -> Floats:
    """Different categories of each list as a share of its length."""
    categories = np.sort(np.where(kept, model.catalogue.category[np.maximum(places, 0)], -1), axis=1)
    first = np.ones(categories.shape, np.bool_)
    first[:, 1:] = categories[:, 1:] != categories[:, :-1]
    different: Floats = (first & (categories >= 0)).sum(axis=1) / np.maximum(1, kept.sum(axis=1))
    return different


def _gains(users: pa.Table) -> pa.Table:
    """How much the scores of each segment's users rose, by product: segment, product_id, score."""
    lengths = users["gains"].combine_chunks().value_lengths().to_numpy()
    segments = users["segment"].combine_chunks().dictionary_encode()
    rows = segments.take(pa.array(np.repeat(np.arange(len(users)), lengths)))
    gained = pa.table(
        {
            "segment": rows.cast(pa.string()),
            "product_id": users["products"].combine_chunks().flatten(),
            "score": users["gains"].combine_chunks().flatten().cast(pa.float64()),
        }
    )
    risen = gained.filter(pc.not_equal(gained["score"], 0))
    return grouped(risen, ["segment", "product_id"], summed("score"))
