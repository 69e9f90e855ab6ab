"""Weights evaluated on candidates give the figures of the lists of the whole hybrid."""

from __future__ import annotations

import numpy as np
import pytest

from spark_apps.evaluation import candidates as module
from spark_apps.evaluation.batch_evaluation import K
from spark_apps.evaluation.candidates import candidates, mean_ndcg
from spark_apps.settings import BlendWeights
from tests.recommendation.catalogues import catalogue, histories, hybrid

WEIGHTS = [
    BlendWeights(),
    BlendWeights(affinity=0, content=0, popularity=0, segment=0),
    BlendWeights(affinity=0.1, content=1.5, popularity=0.3, segment=0.4),
]


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("products", [25, 400])
def test_the_figure_is_that_of_the_lists(products: int, weights: BlendWeights, monkeypatch: pytest.MonkeyPatch) -> None:
    goods = catalogue(products)
    users = histories(60, len(goods))
    model = hybrid(goods, weights=weights)
    seen = users.left_out(True, True)
    lists = model.lists(users, seen, K)
    # half of the users hold back what is listed for them somewhere, the others something at random or nothing
    random = np.random.default_rng(3)
    held = np.where(np.arange(60) % 2 == 0, lists.ids[np.arange(60), np.arange(60) % K], random.integers(-1, 25, 60))
    monkeypatch.setattr(module, "_USERS_PER_BLOCK", 17)
    found = candidates(hybrid(goods), users, held)  # whatever the weights of the model are
    hits = (lists.ids == held[:, None]) & np.isfinite(lists.scores)
    expected = (hits / np.log2(np.arange(2, lists.ids.shape[1] + 2))).sum(axis=1)
    np.testing.assert_allclose(np.concatenate([block.ndcg(weights) for block in found]), expected)
    assert mean_ndcg(found, weights) == pytest.approx(expected.mean())
    assert expected.mean() > 0.2
