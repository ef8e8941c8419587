"""Every outcome against what the simulated network did; what kernels say is in tests/kernel."""

import numpy as np
import pytest
from made import batch_of
from numpy.typing import NDArray
from scenarios.captures import Capture
from scenarios.catalogue import make
from scenarios.clocks import EPOCH
from scenarios.elements import Chain, Link, Router, Tap
from scenarios.places import EXTERNAL, FIXED, dvr
from scenarios.scenario import Scenario
from scenarios.traffic import MILLI, answer, datagrams, exchange, pings
from scenarios.world import World

from tracer.core.enums import Event, Kind, Outcome
from tracer.core.journeys import JourneySet
from tracer.core.point import Point
from tracer.core.segments import segment_events
from tracer.correlate.join import join
from tracer.correlate.outcomes.reasons import CAPTURE_EDGE, CAPTURE_GAP


def packets(scenario: Scenario, found: JourneySet) -> NDArray[np.int64]:
    """Return the packet of each journey."""
    return scenario.truth.packet[found.hops["row"][found.journeys["first_hop"]]]


def named(found: JourneySet, chosen: NDArray[np.bool_]) -> set[str | None]:
    """Return the reasons of the chosen journeys."""
    reasons = found.journeys["reason"][chosen].tolist()
    return {found.reasons[n] if n >= 0 else None for n in reasons}


def test_delivered_and_vanished_are_what_arrived_and_what_did_not() -> None:
    scenario = make("unanswered", 4)
    found = join(scenario.batch, scenario.conntrack)
    lost = scenario.truth.lost_after[packets(scenario, found)]
    outcome = found.journeys["outcome"]
    assert ((outcome == Outcome.VANISHED) == (lost >= 0)).all()
    assert ((outcome == Outcome.DELIVERED) == (lost < 0)).all()
    assert (found.journeys["outcome_point"][lost >= 0] == lost[lost >= 0]).all()
    assert (lost >= 0).sum() > 50


def test_an_error_from_on_the_way_is_an_answer_from_elsewhere() -> None:
    scenario = make("icmp_errors", 3)
    found = join(scenario.batch, scenario.conntrack)
    packet = packets(scenario, found)
    quotes = scenario.truth.quotes
    error_of = np.full(len(quotes), -1)
    error_of[quotes[quotes >= 0]] = np.flatnonzero(quotes >= 0)
    quoted = error_of[packet] >= 0
    kind, outcome = found.journeys["kind"], found.journeys["outcome"]
    # The server answered those to one port itself; of the others a router said that it ended them.
    p = scenario.batch.packets[found.hops["row"][found.journeys["first_hop"]]]
    at_server = quoted & (kind == Kind.UDP) & (p["dport"] == 33434)
    elsewhere = quoted & ~at_server
    assert (outcome[at_server] == Outcome.DELIVERED).all()
    assert named(found, at_server) == {f"port unreachable, said {EXTERNAL}"}
    assert ((outcome == Outcome.ANSWERED_ELSEWHERE) == elsewhere).all()
    assert named(found, elsewhere) == {"TTL exceeded in transit, said 100.122.255.254"}
    assert (at_server.sum(), elsewhere.sum()) == (100, 200)


def test_a_redirect_does_not_say_that_a_packet_went_no_further() -> None:
    scenario = make("icmp_errors", 3)
    p = scenario.batch.packets
    told = p["icmp_type"] == 11
    p["icmp_type"][told], p["icmp_code"][told] = 5, 1
    found = join(scenario.batch, scenario.conntrack)
    outcome = found.journeys["outcome"]
    quoted = np.unique(found.journeys["quotes"][found.journeys["quotes"] >= 0])
    by_redirect = quoted[outcome[quoted] != Outcome.DELIVERED]
    assert len(by_redirect) == 200
    assert set(outcome[by_redirect].tolist()) <= {Outcome.UNFINISHED, Outcome.VANISHED}
    texts = {text for text in found.reasons if "redirect" in text}
    assert not texts  # of those that arrived none was redirected


def test_where_a_capture_ends_nothing_is_known() -> None:
    world = World(21)
    chain = dvr(world)
    world.run(chain, datagrams(world, FIXED, EXTERNAL, 400, gap_ns=MILLI, flows=5))
    for point in (5, 6, 7):
        world.captures[point].start_ns = EPOCH + 100 * MILLI
        world.captures[point].stop_ns = EPOCH + 300 * MILLI
    scenario = world.finish("edges")
    found = join(scenario.batch)
    outcome = found.journeys["outcome"]
    p = scenario.batch.packets["point"]
    beyond = np.unique(scenario.truth.packet[p >= 5])
    unseen = ~np.isin(packets(scenario, found), beyond)
    assert ((outcome == Outcome.UNFINISHED) == unseen).all()
    assert named(found, unseen) == {CAPTURE_EDGE}
    assert 150 < unseen.sum() < 250


def test_a_host_does_not_live_where_its_packets_came_from_before_a_capture_began() -> None:
    world = World(24)
    chain = dvr(world)
    exchange(world, chain, datagrams(world, FIXED, EXTERNAL, 400, gap_ns=MILLI, flows=5))
    world.run(chain, datagrams(world, FIXED, EXTERNAL, 400, gap_ns=MILLI, flows=5, dport=99))
    for point in (5, 6, 7):  # of the answers most are first seen at point 4
        world.captures[point].start_ns = EPOCH + 330 * MILLI
    scenario = world.finish("late")
    found = join(scenario.batch)
    p = scenario.batch.packets
    first, last = (found.hops["row"][found.journeys["first_hop"] + n]
                   for n in (0, found.journeys["n_hops"] - 1))  # fmt: skip
    early = (p["dport"][first] == 99) & (p["point"][last] == 4)
    assert early.sum() > 250
    assert (found.journeys["outcome"][early] == Outcome.UNFINISHED).all()
    assert named(found, early) == {CAPTURE_EDGE}


def test_one_point_alone_leaves_everything_open() -> None:
    world = World(22)
    chain = dvr(world)
    world.run(chain, pings(world, FIXED, EXTERNAL, 20))
    for capture in world.captures.values():
        capture.off = capture is not world.captures[2]
    found = join(world.finish("alone").batch)
    assert (found.journeys["outcome"] == Outcome.UNFINISHED).all()


def test_an_interrupted_capture_is_not_the_network() -> None:
    # The next capture pauses; of what passes it, the last one shows some, which proves the pause.
    # The network loses nothing.
    world = World(23)
    chain = dvr(world)
    exchange(world, chain, datagrams(world, FIXED, EXTERNAL, 400, gap_ns=MILLI, flows=5))
    world.run(chain, datagrams(world, FIXED, EXTERNAL, 300, gap_ns=MILLI, flows=5, dport=99))
    world.captures[6].gaps = ((EPOCH + 100 * MILLI, EPOCH + 200 * MILLI),)
    world.captures[7].missed = 0.3
    scenario = world.finish("pause")
    found = join(scenario.batch)
    outcome = found.journeys["outcome"]
    missed = outcome == Outcome.LOST_BY_TRACER
    assert missed.sum() > 20
    assert named(found, missed) == {CAPTURE_GAP}
    there = found.journeys["outcome_point"][missed]
    assert np.isin(there, (5, 6)).all()
    at_ns = found.journeys["last_ns"][missed][there == 5] - EPOCH
    assert ((at_ns > 99 * MILLI) & (at_ns < 200 * MILLI)).all()
    # Of the last capture that is known where several answers in a row did not begin there. What
    # else it missed by chance looks as if the network had lost it, but only there.
    vanished = found.journeys["outcome_point"][outcome == Outcome.VANISHED]
    assert (vanished == 6).all()


def test_a_router_that_answers_for_a_host_is_not_where_it_lives() -> None:
    """A cache answers some of what is asked of a server; the router also answers for itself."""
    rows: list[dict[str, object]] = []
    at_link = {0: ("02:00:00:00:00:0c", "02:00:00:00:00:0a"),  # by point, as seen from the client
               1: ("02:00:00:00:00:0c", "02:00:00:00:00:0a"),
               2: ("02:00:00:00:00:0b", "02:00:00:00:00:05")}  # fmt: skip

    def sent(src: str, dst: str, port: int, *points: int) -> None:
        back, number = points[0] > points[-1], len(rows)
        ports = {"sport": port, "dport": 40_000} if back else {"sport": 40_000, "dport": port}
        for at, point in enumerate(points):
            macs = at_link[point][::-1] if back else at_link[point]
            routed = (point == 2) != (points[0] == 2)
            rows.append(
                {"point": point, "time_ns": number * 1_000_000 + at * 10_000, "ip_version": 4,
                 "ethertype": 0x800, "proto": 17, "src": src, "dst": dst, "ip_id": number + 1,
                 "payload_len": 20, "ip_len": 48, "ttl": 64 - routed, "src_mac": macs[0],
                 "dst_mac": macs[1], **ports}
            )  # fmt: skip

    client, router, server = "10.0.0.2", "10.0.0.1", "10.9.0.2"
    for _ in range(6):
        sent(client, server, 53, 0, 1, 2)
        sent(server, client, 53, 2, 1, 0)
    for _ in range(2):
        sent(client, server, 54, 0, 1)
        sent(server, client, 54, 1, 0)
    for _ in range(8):
        sent(client, router, 55, 0, 1)
        sent(router, client, 55, 1, 0)
    sent(client, server, 56, 0, 1)  # the router loses it
    sent(client, server, 53, 0, 1, 2)
    sent(server, client, 53, 2, 1, 0)
    points = tuple(Point("h", space, f"{space}0") for space in ("c", "r", "s"))
    found = join(batch_of(rows, points))
    first = found.hops["row"][found.journeys["first_hop"]]
    (lost,) = np.flatnonzero(found.observations.packets["dport"][first] == 56)
    assert found.journeys["outcome"][lost] == Outcome.VANISHED


def test_a_second_answer_does_not_say_that_a_lost_question_arrived() -> None:
    world = World(12)
    chain = dvr(world, wire=Link(150_000, 20_000, loss=0.2))
    arrived = world.run(chain, datagrams(world, FIXED, EXTERNAL, 200, flows=2, dport=514))
    for _ in range(2):
        world.run(chain, answer(world, arrived), 1)
    scenario = world.finish("twice")
    found = join(scenario.batch)
    packet = packets(scenario, found)
    asked = packet < 200
    lost = scenario.truth.lost_after[packet] >= 0
    assert ((found.journeys["outcome"] == Outcome.VANISHED) == lost)[asked].all()
    assert (lost & asked).sum() > 20


@pytest.mark.parametrize("captured", [(0, 1, 2), (0, 1), (1, 2), (1,)])
def test_what_a_router_with_one_device_lost_vanished_there(captured: tuple[int, ...]) -> None:
    world = World(13)
    client, nic, server = (world.point("eth0", host) for host in ("client", "router", "server"))
    back = Tap(nic.point, nic.mac)
    world.captures.update({n: Capture(off=n not in captured) for n in range(3)})
    chain = Chain(client, Link(), nic, Router(loss=0.2), back, Link(), server)
    exchange(world, chain, datagrams(world, FIXED, EXTERNAL, 200, flows=3))
    scenario = world.finish("one_armed")
    found = join(scenario.batch)
    lost = scenario.truth.lost_after[packets(scenario, found)] == nic.point
    vanished = found.journeys["outcome"] == Outcome.VANISHED
    # After the last packet that a capture shows nothing is known.
    unknown = (found.journeys["outcome"] == Outcome.UNFINISHED) & lost
    assert (vanished | unknown == lost).all()
    assert lost.sum() > 20 > 2 >= unknown.sum()
    events = segment_events(found)
    events = events[events["event"] == Event.LOST]
    assert len(events) == vanished.sum()
    assert set(events["from_point"]) == set(events["to_point"]) == {nic.point}


def test_what_a_hub_shows_elsewhere_after_it_arrived_has_arrived() -> None:
    # The port beside shows frames for `a` later than `a` does; others for it end there, too.
    rows: list[dict[str, object]] = []
    ways = (("b", "a", (0, 1, 2)), ("c", "a", (3, 1)), ("a", "c", (1, 3)))
    for number in range(90):
        src, dst, places = ways[number % 3]
        for step, point in enumerate(places):
            rows.append(
                {"point": point, "ttl": 64, "time_ns": number * MILLI + step * 10_000,
                 "ip_version": 4, "ethertype": 0x800, "proto": 17, "ip_id": number + 1,
                 "src": f"10.0.0.{ord(src)}", "dst": f"10.0.0.{ord(dst)}", "sport": number,
                 "dport": 9, "payload_len": 20, "ip_len": 48, "src_mac": f"02:00:00:00:00:0{src}",
                 "dst_mac": f"02:00:00:00:00:0{dst}"}
            )  # fmt: skip
    points = tuple(Point(name, None, "eth0") for name in ("b", "a", "port", "c"))
    found = join(batch_of(rows, points))
    assert (found.journeys["outcome"] == Outcome.DELIVERED).all()
