"""One block of users under every model: lists and scores in, one row of figures per user and model out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from spark_apps.evaluation import metrics
from spark_apps.evaluation.negatives import sample_negatives
from spark_apps.recommendation.catalogue import Catalogue
from spark_apps.recommendation.histories import Histories
from spark_apps.recommendation.recommenders import AlsRecommender, Recommender
from spark_apps.recommendation.topn import Exclusions

# the length of the lists
K = 10
# figures that are means over users, in the order of tables
SAMPLED = ("hit_rate_sampled", "ndcg_sampled")
WHOLE = ("recall", "ndcg", "map")
OF_LISTS = ("diversity", "novelty", "user_coverage")
FIGURES = (*SAMPLED, *WHOLE, *OF_LISTS)
SQUARED_ERROR, PREDICTED = "squared_error", "predicted"
RESULT = pa.schema(
    [
        ("user_id", pa.int64()),
        ("model", pa.int32()),
        *((name, pa.float64()) for name in (*FIGURES, SQUARED_ERROR, PREDICTED)),
        ("listed", pa.list_(pa.int64())),
    ]
)


@dataclass(frozen=True)
class HeldOut:
    """What a block of users touched later for the first time, in compressed rows, in the order of that time.

    Attributes:
        offsets: int64, shape (users + 1,); every user has at least one product.
        places: places in the catalogue; -1 for products that nobody touched in training.
        scores: implicit scores of the later events.
    """

    offsets: NDArray[np.int64]
    places: NDArray[np.int64]
    scores: NDArray[np.float64]

    @property
    def last(self) -> NDArray[np.int64]:
        """Each user's last new product."""
        return self.places[self.offsets[1:] - 1]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Products per user, known to the catalogue or not."""
        return np.diff(self.offsets)

    @property
    def rows(self) -> NDArray[np.int64]:
        """The user's row of every product."""
        return np.repeat(np.arange(len(self.offsets) - 1), self.lengths)


@dataclass(frozen=True)
class Evaluator:
    """What every block of users is evaluated with; sent to the tasks once.

    Attributes:
        catalogue: the products of training.
        recommenders: the models.
        users: users in training.
        seed: of the drawn negatives.
        als: the one of the models whose scores are compared with held-out scores.
    """

    catalogue: Catalogue
    recommenders: Sequence[Recommender]
    users: int
    seed: int
    als: AlsRecommender

    def evaluate(self, users: Histories, held: HeldOut) -> pa.Table:
        """Returns a row of RESULT per user and model."""
        seen = users.left_out(purchased=True, viewed=True)
        negatives = sample_negatives(users.users, _touched(seen, held), len(self.catalogue), self.seed)
        tables = [
            self._judge_one(number, model, users, held, seen, negatives)
            for number, model in enumerate(self.recommenders)
        ]
        return pa.concat_tables(tables)

    def _judge_one(
        self,
        number: int,
        model: Recommender,
        users: Histories,
        held: HeldOut,
        seen: Exclusions,
        negatives: NDArray[np.int64],
    ) -> pa.Table:
        lists = model.lists(users, seen, K)
        listed = _widened(np.where(np.isfinite(lists.scores), lists.ids, -1))
        ranks = _sampled_ranks(model, users, held.last, negatives)
        figures = [
            metrics.hit_rate_of_one(ranks, K),
            metrics.ndcg_of_one(ranks, K),
            *_of_whole_catalogue(listed, held, len(self.catalogue)),
            metrics.diversity(listed, self.catalogue.terms, self.catalogue.weights),
            metrics.novelty(listed, self.catalogue.users, self.users),
            (listed >= 0).any(axis=1).astype(np.float64),
            *(_errors(model, users, held) if model.name == self.als.name else _no_errors(len(users))),
        ]
        models = pa.array(np.full(len(users), number, np.int32))
        columns = [pa.array(users.users), models, *(pa.array(figure) for figure in figures), _as_lists(listed)]
        return pa.table(columns, schema=RESULT)


def _touched(seen: Exclusions, held: HeldOut) -> Exclusions:
    """What a user touched in training or later: never drawn as a negative."""
    known = held.places >= 0
    rows = np.concatenate([np.repeat(np.arange(len(held.offsets) - 1), np.diff(seen.offsets)), held.rows[known]])
    places = np.concatenate([seen.ids, held.places[known]])
    order = np.lexsort((places, rows))
    offsets = np.searchsorted(rows[order], np.arange(len(held.offsets)))
    return Exclusions(offsets.astype(np.int64), places[order])


def _sampled_ranks(
    model: Recommender, users: Histories, last: NDArray[np.int64], negatives: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The rank of the last new product among the negatives; one that training never saw is missed."""
    scores = model.scores(users, np.maximum(np.concatenate([last[:, None], negatives], axis=1), 0))
    positive = np.where(last >= 0, scores[:, 0], -np.inf)
    return metrics.rank_among(positive, np.where(negatives >= 0, scores[:, 1:], np.nan))


def _of_whole_catalogue(
    listed: NDArray[np.int64], held: HeldOut, products: int
) -> tuple[metrics.Values, metrics.Values, metrics.Values]:
    known = held.places >= 0
    relevant = held.rows[known] * products + held.places[known]
    wanted = np.arange(len(listed))[:, None] * products + listed
    hits = np.isin(wanted, relevant) & (listed >= 0)
    lengths = held.lengths
    return metrics.recall(hits, lengths), metrics.ndcg(hits, lengths), metrics.average_precision(hits, lengths)


def _errors(model: Recommender, users: Histories, held: HeldOut) -> tuple[metrics.Values, metrics.Values]:
    """Sums of squared differences of prediction and held-out score, and the number of pairs predicted, per user."""
    widest = int(held.lengths.max(initial=0))
    columns = np.arange(len(held.places)) - held.offsets[:-1][held.rows]
    candidates = np.zeros((len(users), widest), np.int64)
    candidates[held.rows, columns] = np.maximum(held.places, 0)
    predicted = model.scores(users, candidates)[held.rows, columns]
    # 0 is what ALS says of users and products without factors: no prediction
    there = (held.places >= 0) & (predicted != 0)
    squared = np.where(there, predicted - held.scores, 0.0) ** 2
    return _sums(held.rows, squared, len(users)), _sums(held.rows, there, len(users))


def _sums(rows: NDArray[np.int64], values: NDArray[np.float64] | NDArray[np.bool_], users: int) -> metrics.Values:
    return np.bincount(rows, values.astype(np.float64), users).astype(np.float64)


def _no_errors(users: int) -> tuple[metrics.Values, metrics.Values]:
    return np.zeros(users), np.zeros(users)


def _widened(places: NDArray[np.int64]) -> NDArray[np.int64]:
    """Lists of K places, also where the whole catalogue is shorter."""
    return np.pad(places, ((0, 0), (0, K - places.shape[1])), constant_values=-1)


def _as_lists(listed: NDArray[np.int64]) -> pa.ListArray:
    there = listed >= 0
    offsets = np.concatenate([[0], np.cumsum(there.sum(axis=1))]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(listed[there]))
