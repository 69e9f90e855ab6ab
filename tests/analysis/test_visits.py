"""How events are cut into parts that hold whole users."""

from __future__ import annotations

import random
from collections import Counter

import pyarrow as pa
import pytest

from spark_apps.analysis.affinities import AFFINITIES, count_together
from spark_apps.analysis.funnels import count_frequencies, count_units
from spark_apps.analysis.sequences import count_sequences
from spark_apps.analysis.visits import sorted_visits, whole_users


def batches(users: list[int], rows: int) -> list[pa.RecordBatch]:
    table = pa.table({"user_id": pa.array(users, pa.int64()), "row": pa.array(range(len(users)), pa.int64())})
    return table.to_batches(max_chunksize=rows)


@pytest.mark.parametrize("rows", [1, 2, 3, 7, 100])
@pytest.mark.parametrize("held", [1, 4, 10, 1000])
def test_no_user_is_spread_and_no_row_is_lost(rows: int, held: int) -> None:
    users = [1] * 3 + [2] + [3] * 20 + [4, 5, 6, 7] + [8] * 9
    tables = list(whole_users(batches(users, rows), held))
    assert [row for table in tables for row in table["row"].to_pylist()] == list(range(len(users)))
    seen = [set(table["user_id"].to_pylist()) for table in tables]
    assert sum(map(len, seen)) == len(set(users))
    assert all(table.num_rows for table in tables)


def test_parts_end_soon_after_the_wanted_length() -> None:
    tables = list(whole_users(batches(sorted(list(range(1000)) * 3), 50), 200))
    assert max(table.num_rows for table in tables) < 260


def test_nothing_makes_no_part() -> None:
    assert not list(whole_users(batches([], 5), 10))


def test_counts_do_not_depend_on_where_events_are_cut() -> None:
    dice = random.Random(5)
    users = sorted(dice.choices(range(40), k=900))
    events = pa.table(
        {
            "user_id": users,
            "user_session": [f"{user} {dice.randrange(4)}" if dice.random() < 0.9 else None for user in users],
            "seconds": [dice.randrange(200_000) for _ in users],
            "kind": pa.array([dice.choice((0, 0, 0, 1, 2, 3)) for _ in users], pa.int8()),
            "product_id": [dice.randrange(30) for _ in users],
            "category_code": [dice.choice(("a", "b", "c.d", "unknown")) for _ in users],
        }
    )
    candidates = {name: pa.array(list(range(20))) for name in AFFINITIES[:2]}
    candidates |= {name: pa.array(["a", "c.d"]) for name in AFFINITIES[2:]}

    def counts(parts: list[pa.Table]) -> Counter[tuple[str, int]]:
        total: Counter[tuple[str, int]] = Counter()
        for part in parts:
            visits = sorted_visits(part)
            found = {**count_units(visits), **count_frequencies(visits), "sequences": count_sequences(visits)}
            for name, together in count_together(visits, candidates).items():
                found[name] = (together.cells, together.counts)
                total[name, -1] += together.baskets
            for name, (keys, numbers) in found.items():
                total.update({(name, key): number for key, number in zip(keys.tolist(), numbers.tolist(), strict=True)})
        return total

    whole = counts([events])
    assert len(whole) > 100
    assert counts(list(whole_users(events.to_batches(max_chunksize=17), 60))) == whole
