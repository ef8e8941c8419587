"""Super-packets and their segments: which are whose, and which were lost."""

from typing import Any

import numpy as np
import pytest
from made import START_NS, batch_of
from scenarios.catalogue.tcp import gro_across

from tracer.core.enums import Event, Outcome
from tracer.core.journeys import JourneySet
from tracer.core.point import Point
from tracer.core.segments import segment_events
from tracer.correlate.join import join
from tracer.correlate.outcomes.partly import CARRIED

MSS, SEQ = 1448, 4_294_965_000  # sequence numbers wrap inside the packet
HOST, WIRE, FAR = 0, 1, 2
DELIVERED = Outcome.DELIVERED
POINTS = tuple(Point(host, None, "eth0") for host in ("client", "router", "server"))


def packet(point: int, after_us: int, ip_id: int, first: int, size: int) -> dict[str, Any]:
    """A packet with `size` segments of a stream, from the one with number `first` on."""
    ids = {"ip_version": 4, "ip_id": ip_id} if ip_id >= 0 else {"ip_version": 6}
    ends = ("10.0.0.1", "10.0.0.2") if ip_id >= 0 else ("fd00::1", "fd00::2")
    return {
        "point": point, "time_ns": START_NS + after_us * 1000, **ids, "src": ends[0],
        "dst": ends[1], "proto": 6, "ttl": 64 - point, "sport": 40000, "dport": 80,
        "frag_offset": 0, "more_fragments": 0, "ethertype": 0x0800 if ip_id >= 0 else 0x86DD,
        "payload_len": size * MSS, "ip_len": size * MSS + 52, "tcp_flags": 16, "tcp_ack": 7,
        "tcp_seq": (SEQ + first * MSS) % 2**32, "tcp_window": 501, "tcp_tsval": 5, "tcp_tsecr": 4,
        "payload_digest": (first + 1) * 1000 + size,
    }  # fmt: skip


def stream(lost: tuple[int, ...] = (), ids: bool = True) -> JourneySet:
    """Six segments in a packet, of which three are sent again in one; `lost` ids pass the wire.

    Before and after it all points show a packet: their captures have begun, and are not over.
    """
    rows = []
    for number, after in ((-1, -1000), (6, 3000)):
        for point in (HOST, WIRE, FAR):
            other = packet(point, after + point, 300 + number if ids else -1, number, 1)
            rows.append(other | {"tcp_tsval": 5 + number})
    for after, first_id, size in ((0, 100, 6), (2000, 200, 3)):
        rows.append(packet(HOST, after, first_id if ids else -1, 0, size))
        for point in (WIRE, FAR):
            for k in range(size):
                if point == FAR and first_id + k in lost:
                    continue
                when = after + 10 * point + k
                rows.append(packet(point, when, first_id + k if ids else -1, k, 1))
    rows.sort(key=lambda each: (each["point"], each["time_ns"]))
    return join(batch_of(rows, POINTS))


def members(found: JourneySet, journey: int) -> list[tuple[int, int]]:
    hops = found.hops[found.hops["journey"] == journey]
    p = found.observations.packets[hops["row"]]
    return sorted(zip(p["point"].tolist(), p["ip_id"].tolist(), strict=True))


def test_segments_belong_to_the_packet_from_whose_id_theirs_count_on() -> None:
    found = stream()
    assert len(found.journeys) == 4
    for journey, (first, size) in enumerate(((100, 6), (200, 3)), 1):
        segments = [(point, first + k) for point in (WIRE, FAR) for k in range(size)]
        assert members(found, journey) == [(HOST, first), *segments]
    assert (found.journeys["outcome"] == DELIVERED).all()


def test_without_ids_they_belong_to_the_nearest_in_time() -> None:
    found = stream(ids=False)
    assert sorted(found.journeys["n_hops"].tolist()) == [3, 3, 7, 13]


@pytest.mark.parametrize("lost", [(101,), (103,), (100, 105)])
def test_a_packet_some_segments_of_which_were_lost_has_vanished(lost: tuple[int, ...]) -> None:
    found = stream(lost)
    assert found.journeys["outcome"].tolist() == [DELIVERED, Outcome.VANISHED, DELIVERED, DELIVERED]
    assert found.journeys["outcome_point"][1] == WIRE
    said = found.reasons[found.journeys["reason"][1]]
    assert said == f"{len(lost) * MSS} of its bytes; the rest went on"
    events = segment_events(found)
    gone = events[events["event"] == Event.LOST]
    assert gone["from_point"].tolist() == [WIRE] * len(lost)
    assert gone["to_point"].tolist() == [FAR] * len(lost)


def test_what_gro_puts_together_is_of_the_packet_with_its_first_byte() -> None:
    scenario = gro_across(1, 1.0)
    device = np.array([point.device for point in scenario.batch.points])
    seen = np.isin(device[scenario.batch.packets["point"]], ("tap0", "eth0"))
    found = join(scenario.batch.take(np.flatnonzero(seen)))
    packet_of = scenario.truth.packet[np.flatnonzero(seen)][found.hops["row"]]
    owners = {frozenset(packet_of[found.hops["journey"] == k]) for k in range(len(found.journeys))}
    assert all(len(each) == 1 for each in owners)
    assert len(owners) == len(found.journeys) == len(np.unique(packet_of))
    assert (found.journeys["outcome"] == DELIVERED).all()
    alone = found.journeys[found.journeys["n_hops"] == 1]
    assert len(alone) > 0
    assert {found.reasons[reason] for reason in alone["reason"]} == {CARRIED}
