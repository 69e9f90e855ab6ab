"""Which segment a batch's users are in."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from spark_apps.segmentation.inputs import Scale
from spark_apps.segmentation.sums import nearest
from spark_apps.streaming.segment_assignment import Placing

# three clusters on a line, at 0, 10 and 30
CENTRES = np.array([[0.0, 0.0], [10.0, 0.0], [30.0, 0.0]])
SCALE = Scale(np.zeros(2), np.ones(2))
NAMES = {0: "A", 1: "B", 2: "C"}


def settled(margin: float, *users: tuple[float, str | None]) -> list[str]:
    """Names of the segments of users at places of the line, who were in segments before."""
    points = np.array([[place, 0.0] for place, _ in users])
    former = pa.chunked_array([pa.array([name for _, name in users], pa.string())])
    found = Placing(CENTRES, SCALE, NAMES, margin).settled(points, nearest(CENTRES, points), former)
    return [NAMES[int(cluster)] for cluster in found]


def test_a_known_user_moves_when_another_centre_is_nearer_by_the_margin() -> None:
    # from A to B: 6 from the one and 4 from the other is a third nearer; 7 and 3 four sevenths
    assert settled(0.4, (6.0, "A"), (7.0, "A")) == ["A", "B"]
    assert settled(0.3, (6.0, "A"), (7.0, "A")) == ["B", "B"]


def test_a_known_user_goes_back_by_the_same_rule() -> None:
    assert settled(0.4, (4.0, "B"), (3.0, "B")) == ["B", "A"]


def test_a_user_leaves_for_the_nearest_centre_only() -> None:
    # 13 from A, 3 from B, 17 from C: whoever leaves C goes to B
    assert settled(0.4, (13.0, "C"), (13.0, "B"), (13.0, "A")) == ["B", "B", "B"]


@pytest.mark.parametrize("former", [None, "a segment of other models"])
def test_a_user_without_a_segment_is_placed_by_the_nearest_centre(former: str | None) -> None:
    assert settled(0.4, (4.9, former), (5.1, former)) == ["A", "B"]


def test_without_a_margin_everybody_is_placed_by_the_nearest_centre() -> None:
    places = np.linspace(-5.0, 35.0, 83)
    expected = [NAMES[int(one)] for one in nearest(CENTRES, np.column_stack([places, np.zeros_like(places)]))]
    for former in NAMES.values():
        assert settled(0.0, *((float(place), former) for place in places)) == expected


def test_clusters_are_known_by_their_numbers_in_any_order() -> None:
    names = {2: "C", 0: "A", 1: "B"}
    points, former = np.array([[6.0, 0.0]]), pa.chunked_array([pa.array(["A"])])
    assert Placing(CENTRES, SCALE, names, 0.4).settled(points, np.array([1]), former).tolist() == [0]


def test_no_user_is_no_cluster() -> None:
    nobody = pa.chunked_array([], pa.string())
    assert len(Placing(CENTRES, SCALE, NAMES, 0.4).settled(np.zeros((0, 2)), np.zeros(0, np.intp), nobody)) == 0
