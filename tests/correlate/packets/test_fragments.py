"""Ids of IPv6 fragments count only as far as they last."""

import numpy as np
from scenarios.catalogue import make

from tracer.correlate.hashing import Codes, Keys
from tracer.correlate.packets.fragments import lasting_ids


def fragments(rows: list[tuple[int, int, int]]) -> tuple[np.ndarray, Codes, Keys]:
    """Rows of (place, id, content)."""
    packets = make("ipv6", 1, 0.1).batch.packets[: len(rows)].copy()
    places, ids, contents = np.array(rows).T
    packets["ip_version"], packets["ip_id"] = 6, ids
    return packets, places, contents.astype(np.uint64)


def test_ids_that_every_place_shows_tell_equal_fragments_apart() -> None:
    rows = [(place, ident, 5) for place in range(3) for ident in (70, 71)]
    at, ids = lasting_ids(*fragments(rows))
    assert at.tolist() == list(range(6))
    assert ids.tolist() == [70, 71] * 3


def test_a_fragment_lost_on_its_way_keeps_its_id() -> None:
    assert lasting_ids(*fragments([(0, 70, 5), (0, 71, 5), (1, 71, 5)]))[1].tolist() == [70, 71, 71]


def test_more_ids_than_a_place_shows_have_changed() -> None:
    rows = [(0, 70, 5), (1, 70, 5), (2, 80, 5), (0, 90, 6), (1, 90, 6)]
    assert lasting_ids(*fragments(rows))[1].tolist() == [0, 0, 0, 90, 90]


def test_packets_that_are_no_fragments_are_left_alone() -> None:
    packets, places, contents = fragments([(0, -1, 5), (0, 70, 5)])
    packets["ip_version"][1] = 4
    assert not len(lasting_ids(packets, places, contents)[0])
