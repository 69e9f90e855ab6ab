"""Jobs killed at random moments: readers never notice, and the next run ends as if nothing had been (SPEC D6, M1)."""

from __future__ import annotations

import random
import sys

import pytest

from bench.kills import COMMANDS, Ground, kill_rounds, prepare

KILLS = 1
EVENTS = 2_000
SEED = 7

pytestmark = [
    pytest.mark.kills,
    pytest.mark.long,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="what is left of a killed job is found in /proc"),
]


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    return prepare(tmp_path_factory.mktemp("kills"), EVENTS, SEED)


@pytest.mark.parametrize("command", COMMANDS)
def test_kills_are_not_noticed(command: str, ground: Ground) -> None:
    verdict = kill_rounds(ground, command, KILLS, random.Random(SEED))
    assert verdict.differences == []
    assert len(verdict.moments) == KILLS
    assert len(set(verdict.moments)) == KILLS
