"""UDP super-packets and the datagrams that they are on the wire."""

from typing import Any

import pytest
from made import START_NS, batch_of

from tracer.core.enums import Outcome
from tracer.core.journeys import JourneySet
from tracer.core.point import Point
from tracer.correlate.join import join

POD, NODE, SERVER = range(3)
POINTS = tuple(Point(host, None, "eth0") for host in ("pod", "node", "server"))
SIZE, REST, COUNT, BURST_US = 1200, 333, 12, 2_000
Lost = tuple[tuple[int, int], ...]


def datagram(point: int, after_us: int, ip_id: int, first: int, size: int) -> dict[str, Any]:
    """`size` bytes, of which `first` names the first ones."""
    ids = {"ip_version": 4, "ip_id": ip_id} if ip_id >= 0 else {"ip_version": 6}
    ends = ("10.0.0.1", "10.0.0.2") if ip_id >= 0 else ("fd00::1", "fd00::2")
    return {
        "point": point, "time_ns": START_NS + after_us * 1000, **ids, "src": ends[0],
        "dst": ends[1], "proto": 17, "ttl": 64 - (point > POD), "sport": 4433, "dport": 443,
        "frag_offset": 0, "more_fragments": 0, "ethertype": 0x0800 if ip_id >= 0 else 0x86DD,
        "payload_len": size, "ip_len": size + 28, "payload_digest": 1_000_000 + first,
    }  # fmt: skip


def sizes(burst: int) -> list[int]:
    """The datagrams of a super-packet: each next one has one more, and every other ends short."""
    return [SIZE] * (burst % 5) + [REST if burst % 2 else SIZE]


def burst_journeys(ids: bool | None, lost: Lost = ()) -> JourneySet:
    """Super-packets at two points, their datagrams at the third; `lost`: (burst, number).

    `ids`: whether they count on from a packet's; None: all are 0.
    """
    rows, ip_id = [], 7 if ids else 0
    for burst in range(COUNT):
        at_us, parts = burst * BURST_US, sizes(burst)
        for point in (POD, NODE):
            own = ip_id if ids is not False else -1
            rows.append(datagram(point, at_us + 9 * point, own, burst * 100, sum(parts)))
        for k, size in enumerate(parts):
            if (burst, k) not in lost:
                when, own = at_us + 300 + 2 * k, ip_id + k * bool(ids) if ids is not False else -1
                rows.append(datagram(SERVER, when, own, burst * 100 + k, size))
        ip_id += len(parts) * bool(ids)
    rows.sort(key=lambda each: (each["point"], each["time_ns"]))
    return join(batch_of(rows, POINTS))


@pytest.mark.parametrize("ids", [True, False, None])
def test_datagrams_belong_to_the_packet_that_begins_with_the_first_one(ids: bool | None) -> None:
    found = burst_journeys(ids)
    assert found.journeys["n_hops"].tolist() == [2 + len(sizes(b)) for b in range(COUNT)]
    assert (found.journeys["outcome"] == Outcome.DELIVERED).all()
    p = found.observations.packets[found.hops["row"]]
    arrived = p["point"] == SERVER
    assert (found.hops["parent"][arrived] == 2).all()  # all come from the node
    assert not found.journeys["ambiguous"].any()


@pytest.mark.parametrize("ids", [True, False])
def test_a_packet_one_datagram_of_which_was_lost_has_vanished_in_part(ids: bool) -> None:
    found = burst_journeys(ids, lost=((4, 2), (8, 3)))
    assert len(found.journeys) == COUNT
    outcome = found.journeys["outcome"]
    assert [b for b in range(COUNT) if outcome[b] == Outcome.VANISHED] == [4, 8]
    said = {found.reasons[n] for n in found.journeys["reason"][[4, 8]]}
    assert said == {f"{SIZE} of its bytes; the rest went on"}


@pytest.mark.parametrize("lost", [(4, 0), (7, 0), (8, 0)])
@pytest.mark.parametrize("ids", [True, False, None])
def test_those_that_follow_a_lost_first_one_are_of_the_packet(
    ids: bool | None, lost: tuple[int, int]
) -> None:
    found = burst_journeys(ids, lost=(lost,))
    assert len(found.journeys) == COUNT
    gone = lost[0]
    assert found.journeys["n_hops"][gone] == 1 + len(sizes(gone))
    outcome = found.journeys["outcome"]
    assert [b for b in range(COUNT) if outcome[b] == Outcome.VANISHED] == [gone]
    assert found.journeys["outcome_point"][gone] == NODE
    assert found.reasons[found.journeys["reason"][gone]] == (
        f"{SIZE} of its bytes; the rest went on"
    )
    assert not found.journeys["ambiguous"].any()


def test_by_ids_it_is_known_which_are_lost() -> None:
    # The first and the third of one packet, the first two of another one that ends short.
    found = burst_journeys(True, lost=((4, 0), (4, 2), (9, 0), (9, 1)))
    assert len(found.journeys) == COUNT
    outcome = found.journeys["outcome"]
    assert [b for b in range(COUNT) if outcome[b] == Outcome.VANISHED] == [4, 9]
    said = {found.reasons[n] for n in found.journeys["reason"][[4, 9]]}
    assert said == {f"{2 * SIZE} of its bytes; the rest went on"}


def test_without_ids_two_packets_that_lost_their_first_ones_are_left_apart() -> None:
    found = burst_journeys(False, lost=((3, 0), (8, 0)))
    assert len(found.journeys) == COUNT + len(sizes(3)) + len(sizes(8)) - 2


def test_a_long_packet_that_was_lost_does_not_take_the_next_ones() -> None:
    # Which the first two points missed: ids count on, and sizes do not make the packet.
    rows = []
    for number in range(20):
        size = 8000 if number % 5 == 0 else SIZE - number
        for point in (POD, NODE, SERVER):
            missed = number in (6, 7) and point != SERVER
            if missed or (number == 5 and point == SERVER):
                continue
            rows.append(datagram(point, number * 50 + 10 * point, number + 1, number, size))
    rows.sort(key=lambda each: (each["point"], each["time_ns"]))
    found = join(batch_of(rows, POINTS))
    assert len(found.journeys) == 20


def test_datagrams_that_all_points_show_are_packets_of_their_own() -> None:
    rows = []
    for number in range(20):  # longer and shorter ones that begin with the same bytes
        for point in (POD, NODE, SERVER):
            at_us = number * 50 + 10 * point
            rows.append(datagram(point, at_us, number + 1, number // 2, SIZE // (1 + number % 2)))
    rows.sort(key=lambda each: (each["point"], each["time_ns"]))
    found = join(batch_of(rows, POINTS))
    assert found.journeys["n_hops"].tolist() == [3] * 20
