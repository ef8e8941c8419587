"""What a router kept until it knew the next hop's address is one journey; what was lost is not."""

import numpy as np
from made import batch_of

from tracer.core.batch import ObservationBatch
from tracer.core.enums import Outcome
from tracer.core.journeys import JourneySet
from tracer.core.point import Point
from tracer.correlate.join import join
from tracer.correlate.windows.stream import join_windows

A0, RA, RQ, B0 = range(4)
POINTS = tuple(Point("h", netns, device) for netns, device in (
    ("a", "a0"), ("r", "ra"), ("r", "rq"), ("b", "b0"),
))  # fmt: skip
US, MS = 1_000, 1_000_000
LEFT, RIGHT = ("02:00:00:00:00:01", "02:00:00:00:00:02"), ("02:00:00:00:00:03", "02:00:00:00:00:04")


def seen(digest: int, *times: tuple[int, int], dst: str = "fd00:2::b") -> list[dict[str, object]]:
    """Rows of a datagram at points and times."""
    return [
        {"point": point, "time_ns": time_ns, "ip_version": 6, "ethertype": 0x86DD, "proto": 17,
         "ttl": 64 - (point > RA), "src": "fd00:1::a", "dst": dst, "sport": 4000, "dport": 53,
         "payload_len": 20, "ip_len": 68, "payload_digest": digest,
         "src_mac": (LEFT if point < RQ else RIGHT)[0],
         "dst_mac": (LEFT if point < RQ else RIGHT)[1]}
        for point, time_ns in times
    ]  # fmt: skip


def whole(digest: int, time_ns: int, wait_ns: int = 20 * US) -> list[dict[str, object]]:
    """Rows of a datagram that passes all points."""
    out = time_ns + 5 * US + wait_ns
    return seen(digest, (A0, time_ns), (RA, time_ns + 5 * US), (RQ, out), (B0, out + 5 * US))


def usual(start_ns: int, count: int = 9) -> list[dict[str, object]]:
    """Rows of other datagrams, which tell the way."""
    first = 1_000 + start_ns // MS
    return [row for k in range(count) for row in whole(first + k, start_ns + k * 30 * MS)]


def lengths(found: JourneySet) -> list[int]:
    """How many hops the journeys have, those of `usual` left out."""
    digest = found.observations.packets["payload_digest"][found.hops["row"]]
    own = found.journeys["n_hops"][digest[found.journeys["first_hop"]] < 100]
    return sorted(own.tolist())


def test_what_waited_is_one_journey() -> None:
    rows = whole(1, 0, 1_020 * MS) + whole(2, 300 * MS, 720 * MS + 9 * US) + usual(1_100 * MS)
    found = join(batch_of(rows, POINTS))
    assert lengths(found) == [4, 4]
    assert not found.journeys["ambiguous"].any()
    assert found.hops["delta_ns"].max() == 1_020 * MS


def test_nothing_waits_where_others_went_to_the_neighbour() -> None:
    rows = whole(1, 0, 1_020 * MS) + whole(3, 400 * MS) + usual(1_100 * MS)
    assert lengths(join(batch_of(rows, POINTS))) == [2, 2, 4]


def test_nothing_waits_longer_than_neighbours_are_asked() -> None:
    rows = whole(1, 0, 3_600 * MS) + usual(4_000 * MS)
    assert lengths(join(batch_of(rows, POINTS))) == [2, 2]


def test_what_was_lost_stays_so_when_it_is_sent_again() -> None:
    rows = usual(-300 * MS) + seen(1, (A0, 0), (RA, 5 * US)) + whole(1, 1_000 * MS)
    rows += usual(1_100 * MS)
    found = join(batch_of(rows, POINTS))
    assert lengths(found) == [2, 4]
    assert found.journeys["outcome"].tolist().count(Outcome.VANISHED) == 1
    assert not found.journeys["ambiguous"].any()


def test_equal_packets_that_waited_together_go_on_in_order() -> None:
    rows = whole(1, 0, 1_700 * MS) + whole(1, 900 * MS, 800 * MS + 9 * US) + usual(1_900 * MS)
    found = join(batch_of(rows, POINTS))
    assert lengths(found) == [4, 4]
    assert found.hops["delta_ns"].max() == 1_700 * MS
    assert found.journeys["ambiguous"].sum() == 2


def test_windows_find_what_waited() -> None:
    rows = whole(1, 0, 2_950 * MS)
    rows += usual(2_970 * MS, 300)
    batch = batch_of(rows, POINTS)
    captures: list[list[ObservationBatch]] = []
    for point in range(len(POINTS)):
        of = np.flatnonzero(batch.packets["point"] == point)
        captures.append([batch.take(of[k : k + 10]) for k in range(0, len(of), 10)])
    parts = list(join_windows(captures, rows=40))
    assert len(parts) > 1
    assert [n for part in parts for n in lengths(part)] == [4]
