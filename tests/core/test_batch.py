"""Batches: columns, choosing rows, putting batches together."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made import batch_of

from tracer.core.batch import ObservationBatch, concat
from tracer.core.point import Point
from tracer.core.values import observations_of

ROWS: list[dict[str, Any]] = [
    {"time_ns": 1, "point": 0, "ttl": 64},
    {"time_ns": 2, "point": 1, "vni": 5},
    {"time_ns": 3, "point": 1, "arp_op": 1, "arp_target_ip": "10.0.0.9"},
    {"time_ns": 4, "point": 0, "vni": 6, "mark": 3},
]
POINTS = (Point("a", None, "eth0"), Point("b", "ns", "eth1"))


def values(batch: ObservationBatch) -> list[Any]:
    return observations_of(batch, np.arange(len(batch)))


def test_a_section_column_is_spread_over_the_rows() -> None:
    assert batch_of(ROWS, POINTS).column("vni").tolist() == [-1, 5, -1, 6]
    assert batch_of(ROWS, POINTS).column("ttl").tolist() == [64, -1, -1, -1]


def test_an_address_column_is_named_by_its_halves() -> None:
    assert batch_of(ROWS, POINTS).column("arp_target_ip_lo").tolist()[2] == 0xFFFF_0A00_0009


def test_no_such_column() -> None:
    with pytest.raises(KeyError):
        batch_of(ROWS, POINTS).column("colour")


@given(st.permutations(range(len(ROWS))), st.integers(0, len(ROWS)))
def test_taking_rows_takes_their_sections(order: list[int], count: int) -> None:
    batch = batch_of(ROWS, POINTS)
    taken = batch.take(np.array(order[:count], np.int64))
    whole = values(batch)
    assert values(taken) == [whole[row] for row in order[:count]]
    for section in taken.sections.values():
        assert np.all(np.diff(section["row"]) > 0)


@given(st.lists(st.integers(0, len(ROWS)), max_size=3))
def test_batches_together_hold_what_they_held_apart(cuts: list[int]) -> None:
    whole = batch_of(ROWS, POINTS)
    bounds = [0, *sorted(cuts), len(ROWS)]
    parts = [whole.take(np.arange(a, b)) for a, b in pairwise(bounds)]
    assert values(concat(parts)) == values(whole)
    assert concat(parts).points == POINTS


def test_equal_points_become_one() -> None:
    first, second = batch_of(ROWS[:1], POINTS[:1]), batch_of(ROWS[:1], POINTS[:1])
    assert concat([first, second]).points == POINTS[:1]


def test_an_unknown_point_stays_unknown() -> None:
    batch = concat([batch_of([{"ttl": 1}], POINTS), batch_of(ROWS, POINTS)])
    assert batch.packets["point"].tolist() == [-1, 0, 1, 1, 0]


def test_no_batches_are_an_empty_one() -> None:
    assert len(concat([])) == 0
    assert len(ObservationBatch()) == 0
