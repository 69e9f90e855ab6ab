"""A stream whose state grows splits its buckets; its tables are those of one that began with many (SPEC T3, T7)."""

from __future__ import annotations

import json

import pytest

from spark_apps.generator import GeneratorSpec, write_events
from spark_apps.jobs.stream.query import StopPolicy, run
from spark_apps.jobs.stream.state_store import StateStore
from spark_apps.streaming import state as limits
from spark_apps.streaming.records import BatchRecord
from spark_apps.streaming.state import StreamState
from spark_apps.tables import STREAM_RECOMMENDATIONS, STREAM_TABLES
from tests.engines import local_engine
from tests.pipeline.conftest import Trained
from tests.pipeline.test_stream import Streamed, copy_of, drop, stream
from tests.pipeline.test_stream_engines import LIST, SCORE, TIMES, in_order

# each bucket has had its turn once
BATCHES, EVENTS_EACH = 9, 60
LIMIT = 300


def rounded(record: BatchRecord) -> object:
    """A record, but for the last digits of its means and sums, which follow the order of the users."""
    return json.loads(record.model_dump_json(exclude=TIMES), parse_float=lambda text: float(f"{float(text):.5g}"))


def state_of(streamed: Streamed) -> StreamState:
    state = StateStore(streamed.root).read()
    assert state is not None
    return state


@pytest.fixture(scope="module")
def both(trained_root: Trained, tmp_path_factory: pytest.TempPathFactory) -> tuple[Streamed, Streamed]:
    """A stream that began with few buckets, each too large after its first batch, and one that began with many."""
    folder = tmp_path_factory.mktemp("buckets")
    write_events(GeneratorSpec(BATCHES * EVENTS_EACH, "2019-11", 17), folder / "log.csv")
    lines = (folder / "log.csv").read_text(encoding="utf-8").splitlines()[1:]
    few, many = (Streamed(copy_of(trained_root, folder / one), trained_root.settings, [], lines) for one in "ab")
    for one in (few, many):
        for number in range(BATCHES):
            drop(one.root, number + 1, lines[number * EVENTS_EACH : (number + 1) * EVENTS_EACH])
    run(local_engine(), few.settings, few.root, StopPolicy(stop_after=1), few.told.append)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "EVENTS_PER_BUCKET", LIMIT)
        run(local_engine(), many.settings, many.root, StopPolicy(stop_after=1), many.told.append)
        few.told.extend(stream(few.settings, few.root))
    many.told.extend(stream(many.settings, many.root))
    return few, many


def test_buckets_that_grew_were_split(both: tuple[Streamed, Streamed]) -> None:
    few, many = (state_of(one).buckets for one in both)
    assert len(few) > limits.MIN_BUCKETS and {one.modulus for one in few} >= {8, 16}
    assert len(many) > len(few)


def test_tables_are_those_of_a_stream_that_began_with_more_buckets(both: tuple[Streamed, Streamed]) -> None:
    for table in STREAM_TABLES:
        if table != STREAM_RECOMMENDATIONS:
            few, many = (in_order(one.rows(table)) if (one.root / table.path).exists() else [] for one in both)
            assert few == many, table.name
    few, many = (sorted(one.rows(STREAM_RECOMMENDATIONS), key=lambda row: [row[name] for name in LIST]) for one in both)
    scores = [[row.pop("score") for row in rows] for rows in (few, many)]
    assert few and few == many
    assert scores[0] == pytest.approx(scores[1], abs=SCORE)
    records = [[rounded(record) for record in one.told] for one in both]
    assert records[0] == records[1] and len(records[0]) == BATCHES
