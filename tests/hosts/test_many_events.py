"""Two million events: across hosts they give the tables of one machine."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from spark_apps.generator import GeneratorSpec, write_events
from spark_apps.jobs import clean, load, train
from spark_apps.settings import Settings
from spark_apps.tables import (
    EVENTS,
    INTERACTIONS,
    PRODUCT_FEATURES,
    RAW_EVENTS,
    RECOMMENDATIONS,
    USER_FEATURES,
    USER_SEGMENTS,
    DateRange,
)
from tests.cluster.conftest import RunningCluster
from tests.engines import local_engine
from tests.factory import read_published
from tests.hosts.blocks import addresses_with_blocks
from tests.hosts.rows import CLEANED, assert_tables, in_order, rows_here
from tests.hosts.standin import StandIns

pytestmark = pytest.mark.long
NUMBER = int(os.environ.get("SHOPSTREAM_TEST_EVENTS", "2000000"))
TRAINED = {
    USER_FEATURES: ("user_id",),
    PRODUCT_FEATURES: ("product_id",),
    INTERACTIONS: ("user_id", "product_id"),
    USER_SEGMENTS: ("user_id",),
}


def test_many_events_give_the_tables_of_one_machine(
    loaded: RunningCluster, hosts: StandIns, log: Path, tmp_path: Path
) -> None:
    many = tmp_path / "many.csv"
    write_events(GeneratorSpec(NUMBER, "2019-10", 21), many)
    # of October alone: a stream may have landed November before, and a training takes streamed events too
    october = ("--from", "2019-10-01", "--to", "2019-10-31")
    for words in (("cluster", "load", str(many)), ("submit", "clean", *october), ("submit", "train", *october)):
        began = time.monotonic()
        loaded.shopstream(*words, timeout=6000)
        print(f"{' '.join(words[:2])} of {NUMBER:,} events: {time.monotonic() - began:.0f} s")
    here = tmp_path / "root"
    load.run(here, [log, many])
    clean.run(local_engine(), here, DateRange())
    train.run(local_engine(), Settings(root=str(here)), here, DateRange(), "5")
    for table, order in {**CLEANED, **TRAINED}.items():
        found, expected = loaded.arrow(table), rows_here(here, table, order)
        if found is None:  # no file holds a row of it
            assert expected.num_rows == 0, table.name
            continue
        assert_tables(in_order(found, order), expected)
        print(f"{table.name}: {found.num_rows:,} rows are equal")
    lists = loaded.arrow(RECOMMENDATIONS)
    assert lists is not None
    assert lists.num_rows == read_published(here, RECOMMENDATIONS).num_rows
    shutil.rmtree(here)
    for folder in (RAW_EVENTS, EVENTS.path):
        assert addresses_with_blocks(loaded, f"/data/{folder}") == set(hosts.addresses().values()), folder
