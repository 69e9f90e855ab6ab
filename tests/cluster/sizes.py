"""How much of November is streamed, and how often a part of the cluster is killed meanwhile."""

import os

# tests/conftest.py takes SHOPSTREAM_ variables away before tests run
KILLS = int(os.environ.get("SHOPSTREAM_TEST_KILLS", "4"))
BATCHES = int(os.environ.get("SHOPSTREAM_TEST_BATCHES", "14"))
SEED = int(os.environ.get("SHOPSTREAM_TEST_SEED", "11"))
EVENTS_EACH = 200
EVENTS = BATCHES * EVENTS_EACH
