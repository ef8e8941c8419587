"""What captures missed is told apart from what the network lost."""

from dataclasses import replace

import numpy as np
import pytest
from made import batch_of
from scenarios.clocks import EPOCH
from scenarios.elements import Chain, Link, Router
from scenarios.places import EXTERNAL, FIXED, dvr, line
from scenarios.special import fragments
from scenarios.traffic import ACK, MILLI, PSH, RST, Tcp, answer, datagrams, exchange, pings
from scenarios.world import World

from tests.correlate.outcomes.endings import ended, lost, said
from tracer.core.enums import Kind, Outcome
from tracer.core.journeys import JourneySet
from tracer.core.point import Point
from tracer.correlate.join import join
from tracer.correlate.outcomes.blind import BLIND
from tracer.correlate.outcomes.missed import ACKNOWLEDGED, REASSEMBLED, RESET


def test_what_the_peer_acknowledged_arrived() -> None:
    world = World(5)
    chain = line(world, 4)
    Tcp.open(world, chain, 20, src=FIXED, dst=EXTERNAL).talk(4, burst=3)
    world.captures[3].missed = world.captures[2].missed = 0.1
    scenario = world.finish("acknowledged")
    found = join(scenario.batch)
    data = found.journeys["kind"] == Kind.TCP_DATA
    assert not data[ended(found, Outcome.VANISHED)].any()
    arrived = ended(found, Outcome.LOST_BY_TRACER)
    said = {found.reasons[n] for n in found.journeys["reason"][arrived[data[arrived]]]}
    assert ACKNOWLEDGED in said
    assert not lost(scenario, found, arrived).any()


def test_a_handshake_and_a_close_that_went_on_arrived() -> None:
    world = World(6)
    chain = line(world, 4)
    tcp = Tcp.open(world, chain, 200, src=FIXED, dst=EXTERNAL)
    tcp.close()
    for capture in world.captures.values():
        capture.missed = 0.1
    scenario = world.finish("handshakes")
    found = join(scenario.batch)
    opening = np.isin(found.journeys["kind"], (Kind.TCP_SYN_ACK, Kind.TCP_FIN))
    missed = ended(found, Outcome.LOST_BY_TRACER)
    assert opening[missed].sum() > 20
    assert not opening[ended(found, Outcome.VANISHED)].any()
    assert not lost(scenario, found, missed).any()


def test_a_firewall_that_resets_says_that_it_has_what_it_dropped() -> None:
    world = World(15)
    taps = [world.point(name, host) for name, host in (("a0", "a"), ("in", "fw"), ("out", "fw"))]
    first = Chain(taps[0], Link(), taps[1])
    chain = Chain(*first.elements, Router(), taps[2], Link(), world.point("b0", "b"))
    tcp = Tcp.open(world, chain, 8, src=FIXED, dst=EXTERNAL)
    tcp.talk(3, burst=2)
    refused = tcp.send(0, np.arange(8), ACK | PSH, 900)
    world.seen = world.seen[:-2]  # neither beyond the firewall
    world.lose(refused)
    tcp.back = first
    tcp.send(1, np.arange(8), RST | ACK)
    world.run(chain, datagrams(world, FIXED, EXTERNAL, 5, start_ns=1000 * MILLI))
    scenario = world.finish("refused")
    found = join(scenario.batch)
    elsewhere = ended(found, Outcome.ANSWERED_ELSEWHERE)
    assert lost(scenario, found, elsewhere).all()
    assert len(elsewhere) == 8
    assert said(found, elsewhere) == {RESET}
    assert not len(ended(found, Outcome.LOST_BY_TRACER))


def test_what_was_sent_again_was_lost() -> None:
    world = World(6)
    chain = dvr(world, None, Link(150_000, 20_000, loss=0.1))
    Tcp.open(world, chain, 20, src=FIXED, dst=EXTERNAL).talk(4, burst=3)
    scenario = world.finish("resent")
    found = join(scenario.batch)
    vanished = ended(found, Outcome.VANISHED)
    assert len(vanished) > 10
    assert lost(scenario, found, vanished).all()
    assert not len(ended(found, Outcome.LOST_BY_TRACER))


def sent_twice(second: tuple[int, int, int], arrives: tuple[bool, bool]) -> JourneySet:
    """Return journeys of three segments and what acknowledges them, past three points.

    1000 bytes, then 1448 bytes at 2448, then the `second` time of these (ms, number, length); the
    last two come to the third point where they say so.
    """
    ms, port, data = 1_000_000, {"sport": 40_000, "dport": 80}, {"tcp_flags": 0x18, "tcp_ack": 9}
    back = {"src": EXTERNAL, "dst": FIXED, "sport": 80, "dport": 40_000, "tcp_flags": 0x10}
    rows: list[dict[str, object]] = []
    at_ms, number, size = second
    sent = [(0, 0, 1000, 1448, True), (1, 1, 2448, 1448, arrives[0]),
            (2, at_ms, number, size, arrives[1])]  # fmt: skip
    for ip_id, at, seq, length, does in sent:
        for point in range(3 if does else 2):
            rows.append(
                {"point": point, "time_ns": at * ms + point * 10_000, "src": FIXED, "ip_id": ip_id,
                 "dst": EXTERNAL, "tcp_seq": seq, "payload_len": length, "ip_len": length + 52,
                 "payload_digest": seq + length, **port, **data}
            )  # fmt: skip
    for point in range(2, -1, -1):
        rows.append(
            {"point": point, "time_ns": (at_ms + 1) * ms + (3 - point) * 10_000,
             "tcp_ack": number + size, "tcp_seq": 9, "payload_len": 0, "ip_len": 52, "ip_id": 77,
             **back}
        )  # fmt: skip
    common = {"ip_version": 4, "proto": 6, "ttl": 64, "ethertype": 0x800}
    points = tuple(Point("h", None, name) for name in ("a", "b", "c"))
    return join(batch_of([{**common, **row} for row in rows], points))


@pytest.mark.parametrize("size", [1448, 4 * 1448])
def test_bytes_sent_again_in_a_larger_segment_were_lost(size: int) -> None:
    """The peer acknowledged what was sent again, and nothing says that the first one arrived."""
    found = sent_twice((30, 2448, size), (False, True))
    assert found.journeys["outcome"].tolist()[1] == Outcome.VANISHED
    assert found.journeys["retransmission_of"].tolist() == [-1, -1, 1, -1]


def test_bytes_sent_again_in_vain_may_be_lost() -> None:
    """The peer acknowledged what came first; what was sent again, too soon, did not arrive."""
    found = sent_twice((3, 2448, 1448), (True, False))
    outcomes = found.journeys["outcome"].tolist()
    assert outcomes[1:3] == [Outcome.DELIVERED, Outcome.VANISHED]
    assert found.journeys["retransmission_of"].tolist() == [-1, -1, 1, -1]


def test_bytes_that_were_new_in_what_was_sent_again_arrived() -> None:
    """The peer acknowledged more than came first."""
    found = sent_twice((3, 2448, 4 * 1448), (True, False))
    assert found.journeys["outcome"].tolist()[2] == Outcome.LOST_BY_TRACER


def test_a_point_that_never_shows_a_protocol_cannot_say_that_a_packet_is_gone() -> None:
    world = World(9)
    chain = line(world, 4, per_host=2)
    exchange(world, chain, pings(world, FIXED, EXTERNAL, 80))
    exchange(world, chain, datagrams(world, FIXED, EXTERNAL, 40, dport=53, flows=40))
    silent = datagrams(world, FIXED, EXTERNAL, 30, dport=99, flows=30, start_ns=100 * MILLI)
    world.run(chain, silent)
    batch = world.finish("filtered").batch
    p = batch.packets
    kept = (p["proto"] == 1) | (p["point"] < 2)
    found = join(batch.take(np.flatnonzero(kept)))
    hidden = ended(found, Outcome.NOT_OBSERVABLE)
    assert len(hidden) == 30
    assert said(found, hidden) == {BLIND.format("protocol")}
    assert not len(ended(found, Outcome.VANISHED))


def test_a_port_that_a_capture_leaves_out_is_not_lost_there() -> None:
    # `tcpdump not port 53` at the third and fourth point; and packets that the network does lose.
    world = World(10)
    chain = line(world, 4, per_host=2)
    exchange(world, chain, datagrams(world, FIXED, EXTERNAL, 60, dport=99, flows=10))
    exchange(world, chain, datagrams(world, FIXED, EXTERNAL, 40, dport=53, flows=40))
    start = 100 * MILLI
    world.run(chain, datagrams(world, FIXED, EXTERNAL, 30, dport=53, flows=30, start_ns=start))
    next(each for each in chain.elements[3:] if isinstance(each, Link)).loss = 0.5
    world.run(chain, datagrams(world, FIXED, EXTERNAL, 60, dport=99, flows=10, start_ns=start))
    scenario = world.finish("filtered port")
    p = scenario.batch.packets
    kept = np.flatnonzero((p["point"] < 2) | ((p["sport"] != 53) & (p["dport"] != 53)))
    truth = replace(scenario.truth, packet=scenario.truth.packet[kept])
    found = join(scenario.batch.take(kept))
    hidden = ended(found, Outcome.NOT_OBSERVABLE)
    assert len(hidden) == 30
    assert said(found, hidden) == {BLIND.format("port")}
    vanished = ended(found, Outcome.VANISHED)
    assert len(vanished) > 20
    assert lost(replace(scenario, truth=truth), found, vanished).all()


def test_tcp_that_a_capture_leaves_out_is_not_missed_by_it() -> None:
    # `tcpdump not port 443` at the last two points, with connections to another port beside.
    world = World(11)
    chain = line(world, 4, per_host=2)
    for port, flows in ((443, 10), (80, 25)):
        tcp = Tcp.open(world, chain, flows, src=FIXED, dst=EXTERNAL, dport=port)
        tcp.talk(3, burst=3)
        tcp.close()
    scenario = world.finish("filtered host")
    p = scenario.batch.packets
    mine = (p["sport"] == 443) | (p["dport"] == 443)
    found = join(scenario.batch.take(np.flatnonzero((p["point"] < 2) | ~mine)))
    hidden = ended(found, Outcome.NOT_OBSERVABLE)
    data = hidden[found.journeys["kind"][hidden] == Kind.TCP_DATA]
    assert len(data) == 10 * 3 * 3
    assert said(found, hidden) == {BLIND.format("port")}
    assert not len(ended(found, Outcome.LOST_BY_TRACER))
    assert not len(ended(found, Outcome.VANISHED))


@pytest.mark.parametrize("share", [1.0, 0.2])
def test_fragments_of_what_was_answered_arrived(share: float) -> None:
    # A filter on a port shows first fragments alone (share 1); or a capture missed some.
    world = World(12)
    chain = line(world, 4, per_host=2)
    asked = datagrams(world, FIXED, EXTERNAL, 60, dport=2049, size=(2000, 4000), flows=6)
    arrived = world.run(chain, fragments(world, asked))
    world.run(chain, answer(world, arrived.take(arrived.packets["frag_offset"] == 0)), 1)
    batch = world.finish("fragments").batch
    p = batch.packets
    later = (p["frag_offset"] > 0) & (p["point"] >= 2)
    gone = later & np.isin(p["ip_id"], p["ip_id"][later & (p["ip_id"] % 100 < share * 100)])
    found = join(batch.take(np.flatnonzero(~gone)))
    outcome = Outcome.NOT_OBSERVABLE if share == 1 else Outcome.LOST_BY_TRACER
    hidden = ended(found, outcome)
    text = BLIND.format("kind: fragments after the first") if share == 1 else REASSEMBLED
    assert said(found, hidden) == {text}
    packets = np.unique(p["frag_offset"].astype(np.int64)[gone] << 32 | p["ip_id"][gone])
    over = ended(found, Outcome.UNFINISHED)  # after the last packet that the capture shows
    assert len(hidden) + len(over) == len(packets) > 5
    assert len(over) < 3
    assert not len(ended(found, Outcome.VANISHED))


def test_each_flow_is_expected_on_its_own_way() -> None:
    # Two bonded links with the same addresses: one loses, the capture of the other ends early.
    world = World(5)
    first, last = world.point("tap0", "compute03"), world.point("eth0", "server")
    ups, spines = (
        [world.point(f"{name}{i}", f"{name}{i}", mac=mac) for i in range(2)]
        for name, mac in (("up", 0x020000000077), ("spine", 0x020000000078))
    )
    for i in range(2):
        way = Chain(
            first, Link(loss=0.1 * i), ups[i], Link(20_000, 2_000), spines[i],
            Link(150_000, 10_000), Router(), last,
        )  # fmt: skip
        asked = datagrams(world, FIXED, EXTERNAL, 2000 // (i + 1), gap_ns=MILLI * (i + 1), flows=10)
        exchange(world, way, asked)
    world.captures[ups[0].point].stop_ns = EPOCH + 1700 * MILLI
    scenario = world.finish("bonded")
    found = join(scenario.batch)
    vanished = ended(found, Outcome.VANISHED)
    assert len(vanished) == (scenario.truth.lost_after >= 0).sum() > 100
    assert lost(scenario, found, vanished).all()
    assert not len(ended(found, Outcome.UNFINISHED))


def two_ways(seed: int, loss: tuple[float, float]) -> tuple[World, list[Chain]]:
    """Return a world whose router has two equal routes, each with loss; the first is captured."""
    world = World(seed)
    first, gate, last = (
        world.point("eth0", "client"), world.point("in", "gate"), world.point("eth0", "server"),
    )  # fmt: skip
    ways = []
    for i in range(2):
        spine = world.point(f"spine{i}", f"spine{i}")
        world.captures[spine.point].off = i > 0
        ways.append(
            Chain(
                first, Link(20_000, 5_000), gate, Router(), Link(20_000, 2_000), spine,
                Link(50_000, 5_000, loss=loss[i]), Router(), last,
            )
        )  # fmt: skip
    return world, ways


def test_flows_of_another_way_are_not_missed_by_the_capture_of_this_one() -> None:
    # Many in a row are of flows that the captured way never shows, and some of those are lost.
    world, ways = two_ways(6, (0.0, 0.3))
    world.run(ways[0], datagrams(world, FIXED, EXTERNAL, 450, gap_ns=2 * MILLI, flows=9))
    for burst in range(7):
        sent = {"gap_ns": MILLI // 3, "flows": 6, "start_ns": burst * 120 * MILLI}
        world.run(ways[1], datagrams(world, FIXED, EXTERNAL, 60, **sent))
    scenario = world.finish("another way")
    found = join(scenario.batch)
    vanished = ended(found, Outcome.VANISHED)
    over = ended(found, Outcome.UNFINISHED)  # after the last packet that a capture shows
    assert len(vanished) + len(over) == (scenario.truth.lost_after >= 0).sum() > 100
    assert len(over) < 3
    assert lost(scenario, found, vanished).all()


def test_where_a_flow_takes_another_way_to_beyond_what_is_captured_nobody_knows() -> None:
    # All of one way arrive, but some answers are lost; only the other way is captured.
    world, ways = two_ways(7, (0.0, 0.0))
    for way, flows in zip(ways, (14, 6), strict=True):
        asked = datagrams(world, FIXED, EXTERNAL, flows * 30, flows=flows)
        arrived = world.run(way, asked)
        share = 0.7 if way is ways[1] else 1.0
        answered = world.rng.random(len(arrived)) < share
        world.run(way, answer(world, arrived.take(answered)), 1)
    last = next(n for n, point in enumerate(world.points) if point.host == "server")
    world.captures[last].off = True
    found = join(world.finish("another way").batch)
    assert not len(ended(found, Outcome.VANISHED))
    hidden = ended(found, Outcome.NOT_OBSERVABLE)
    assert said(found, hidden) == {BLIND.format("flow")}
    assert 30 < len(hidden) < 80


def test_what_a_way_that_passes_nothing_on_takes_has_vanished_there() -> None:
    # Nobody goes on from there, as where packets are delivered; but others arrive at their end.
    world, ways = two_ways(8, (0.0, 1.0))
    end = world.points.index(next(p for p in world.points if p.host == "spine1"))
    world.captures[end].off = False
    exchange(world, ways[0], datagrams(world, FIXED, EXTERNAL, 100, flows=5))
    world.run(ways[1], datagrams(world, FIXED, EXTERNAL, 90, flows=5))
    found = join(world.finish("black hole").batch)
    vanished, over = ended(found, Outcome.VANISHED), ended(found, Outcome.UNFINISHED)
    assert len(vanished) + len(over) == 90
    assert len(over) < 3  # before the first packet that a capture shows
    assert (found.journeys["outcome_point"][vanished] == end).all()
