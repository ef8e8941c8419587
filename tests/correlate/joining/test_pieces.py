"""A datagram that is cut in several ways on its path is one journey, and its losses are found."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scenarios.cutting import Cut, Together, is_piece
from scenarios.elements import Chain, Element, Link, Router, Tap
from scenarios.frames import Frames
from scenarios.frames import join as joined
from scenarios.places import EXTERNAL, FIXED
from scenarios.scenario import Scenario
from scenarios.scoring import pairwise
from scenarios.traffic import MILLI, answer, datagrams, once, pings
from scenarios.world import World

from tracer.core.enums import Cause, Kind, Outcome
from tracer.core.journeys import JourneySet
from tracer.correlate.join import join
from tracer.correlate.outcomes.incomplete import INCOMPLETE

A, B = "2001:db8::10", "2001:db8:1::20"
ENDS = {4: (FIXED, EXTERNAL), 6: (A, B)}
# What a router does, and how many shapes a datagram of 5008 bytes in pieces of 1424 has then.
RECUT: dict[str, tuple[tuple[Element, ...], list[int]]] = {
    "larger": ((Together(), Router(), Cut(1480)), [4, 4]),
    "smaller": ((Together(), Router(), Cut(704)), [4, 8]),
    "smaller, not put together": ((Router(), Cut(704)), [4, 11]),
    "whole": ((Together(), Router()), [4, 1]),
}
Route = Callable[[World], tuple[Element, ...]]


def way(world: World, *router: Element, wire: Link | None = None) -> Chain:
    """A sender, a router that was captured at both devices, and a receiver."""
    return Chain(
        world.point("eth0", "sender"), Link(), world.point("in", "router"), *router,
        world.point("out", "router"), wire or Link(), world.point("eth0", "receiver"),
    )  # fmt: skip


def sent(world: World, version: int, count: int = 30, size: int = 5000, **more: object) -> Frames:
    frames = datagrams(world, *ENDS[version], count, size=size, **more)  # type: ignore[arg-type]
    return Cut(1424).cross(world, frames, 0)


def outcomes(found: JourneySet) -> dict[Outcome, int]:
    kinds, counts = np.unique(found.journeys["outcome"], return_counts=True)
    return {Outcome(kind): int(n) for kind, n in zip(kinds, counts, strict=True)}


def is_right(scenario: Scenario, found: JourneySet) -> bool:
    """Whether each packet is a journey, and each journey a packet."""
    return shares(scenario, found) == (1.0, 1.0)


def shares(scenario: Scenario, found: JourneySet) -> tuple[float, float]:
    """Precision and recall of pairs of rows in one journey."""
    journey = np.full(len(scenario.batch), -1, np.int64)
    journey[found.hops["row"]] = found.hops["journey"]
    return pairwise(journey, scenario.truth.packet, np.ones(len(journey), bool))


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("name", RECUT)
def test_a_datagram_cut_anew_is_one_journey(version: int, name: str) -> None:
    router, shapes = RECUT[name]
    world = World(3)
    world.run(way(world, *router), sent(world, version, flows=3))
    scenario = world.finish(name)
    found = join(scenario.batch)
    apart = name == "smaller, not put together"  # each piece goes its own way
    assert outcomes(found) == {Outcome.DELIVERED: 30 * (shapes[0] if apart else 1)}
    precision, recall = shares(scenario, found)
    assert precision == 1.0
    assert (recall == 1.0) != apart
    first = found.journeys["first_hop"]
    counts = np.bincount(scenario.batch.packets["point"][found.hops["row"]])
    assert counts.tolist() == [30 * shapes[i > 1] for i in range(4)]
    assert (found.hops["parent"][first] == 0).all()


@pytest.mark.parametrize("version", [4, 6])
def test_a_whole_one_is_one_journey_with_its_pieces(version: int) -> None:
    world = World(4)
    frames = datagrams(world, *ENDS[version], 30, size=3000)
    frames.packets["df"] = 0 if version == 4 else -1
    chain = way(world, Router(), Cut(1376))
    world.run(Chain(*chain.elements, Together(), world.point("input", "receiver")), frames)
    scenario = world.finish("cut by a router")
    found = join(scenario.batch)
    assert outcomes(found) == {Outcome.DELIVERED: 30}
    assert is_right(scenario, found)
    assert (found.journeys["kind"] == Kind.UDP).all()


def test_a_hop_comes_from_one_that_has_its_bytes() -> None:
    world = World(5)
    world.run(way(world, Together(), Router(), Cut(776)), sent(world, 4))
    scenario = world.finish("parents")
    found = join(scenario.batch)
    hops, p = found.hops, scenario.batch.packets
    later = np.flatnonzero((hops["parent"] > 0) & (p["point"][hops["row"]] > 0))
    parent = found.journeys["first_hop"][hops["journey"][later]] + hops["parent"][later] - 1
    row, before = hops["row"][later], hops["row"][parent]
    assert (p["point"][before] == p["point"][row] - 1).all()
    begin, size = p["frag_offset"], p["payload_len"] + 8 * (p["frag_offset"] == 0)
    assert (begin[before] < begin[row] + size[row]).all()
    assert (begin[row] < begin[before] + size[before]).all()
    causes = {Cause(cause) for cause in hops["cause"][later].tolist()}
    assert causes == {Cause.FORWARDED, Cause.BRIDGED}


@pytest.mark.parametrize("version", [4, 6])
def test_pieces_of_translated_datagrams_follow_the_first_one(version: int) -> None:
    # Nobody answers and no packet of the flows is whole: bytes and ids alone say which are one.
    world = World(6)
    outside = "203.0.113.7" if version == 4 else "2001:db8:f::7"
    nat = world.nat(snat=outside, ports="random", host="router")
    chain = way(world, Together(), Router(nat), Cut(1480))
    world.run(chain, sent(world, version, 60, flows=20))
    scenario = world.finish("masqueraded")
    found = join(scenario.batch)
    assert outcomes(found) == {Outcome.DELIVERED: 60}
    assert is_right(scenario, found)
    assert len(found.flows) == 20
    assert (found.flows["nat_sport"] > 0).all()
    cause = found.hops["cause"][found.hops["parent"] > 0]
    assert set(cause.tolist()) == {Cause.BRIDGED, Cause.SNAT}


def test_ids_that_come_again_are_told_apart_by_time() -> None:
    world = World(7)
    frames = datagrams(world, *ENDS[4], 80, size=5000, gap_ns=2 * MILLI)
    frames.packets["ip_id"] = np.arange(80) % 5
    world.run(way(world, Together(), Router(), Cut(1480)), Cut(1424).cross(world, frames, 0))
    scenario = world.finish("ids again")
    found = join(scenario.batch)
    assert outcomes(found) == {Outcome.DELIVERED: 80}
    assert is_right(scenario, found)
    assert not found.journeys["ambiguous"].any()


def test_equal_ipv6_datagrams_that_time_alone_tells_apart() -> None:
    world = World(8)
    parts = [sent(world, 6, 1, constant=True, start_ns=k * 40 * MILLI) for k in range(20)]
    world.run(way(world, Together(), Router(), Cut(1480)), joined(parts))
    scenario = world.finish("equal")
    found = join(scenario.batch)
    assert outcomes(found) == {Outcome.DELIVERED: 20}
    assert is_right(scenario, found)


def test_interleaved_datagrams_of_one_flow() -> None:
    world = World(9)
    frames = sent(world, 4, 60, gap_ns=1_000)
    frames.meta["true_ns"] += world.rng.integers(0, 100_000, len(frames))
    world.run(way(world, Together(), Router(), Cut(1480)), frames)
    scenario = world.finish("interleaved")
    found = join(scenario.batch)
    assert outcomes(found) == {Outcome.DELIVERED: 60}
    assert is_right(scenario, found)


@pytest.mark.parametrize("version", [4, 6])
def test_a_piece_lost_behind_the_router_is_found_there(version: int) -> None:
    world = World(10)
    wire = Link(loss=0.05)
    world.run(way(world, Together(), Router(), Cut(1480), wire=wire), sent(world, version, 60))
    scenario = world.finish("lost behind")
    found = join(scenario.batch)
    assert is_right(scenario, found)
    packet = scenario.truth.packet[found.hops["row"][found.journeys["first_hop"]]]
    lost = scenario.truth.lost_after[packet]
    # After the last packet that a capture shows nothing is known.
    said = found.journeys["outcome"] == Outcome.VANISHED
    assert (said | (found.journeys["outcome"] == Outcome.UNFINISHED))[lost >= 0].all()
    assert 5 < said.sum() >= (lost >= 0).sum() - 1
    assert (lost[said] == 2).all()
    assert (found.journeys["outcome_point"][said] == 2).all()


def test_a_piece_lost_before_the_router_leaves_the_others_there() -> None:
    world = World(11)
    chain = Chain(
        world.point("eth0", "sender"), Link(loss=0.05), world.point("in", "router"), Together(),
        Router(), Cut(1480), world.point("out", "router"),
    )  # fmt: skip
    world.run(chain, sent(world, 4, 60))
    scenario = world.finish("lost before")
    found = join(scenario.batch)
    assert is_right(scenario, found)
    packet = scenario.truth.packet[found.hops["row"][found.journeys["first_hop"]]]
    lost = scenario.truth.lost_after[packet]
    said = found.journeys["outcome"] == Outcome.VANISHED
    assert {0, 1} == set(lost[said].tolist())
    assert (found.journeys["outcome_point"][said] == lost[said]).all()
    assert not (lost[~said & (found.journeys["outcome"] == Outcome.DELIVERED)] >= 0).any()
    # Those that came, and could not be put together, say so; those that were lost do not.
    told = [found.reasons[n] if n >= 0 else "" for n in found.journeys["reason"].tolist()]
    assert np.array_equal(np.array(told) == INCOMPLETE, said & (lost == 1))


def test_pieces_that_arrive_twice_are_no_other_datagrams() -> None:
    world = World(12)
    router = (Together(), Router(), Cut(1480))
    world.run(way(world, *router, wire=Link(copies=0.1)), sent(world, 4, 40))
    scenario = world.finish("copies")
    found = join(scenario.batch)
    assert outcomes(found) == {Outcome.DELIVERED: 40}


def test_a_capture_of_first_pieces_alone_does_not_say_that_the_rest_is_lost() -> None:
    world = World(13)
    world.run(way(world, Together(), Router(), Cut(1480)), sent(world, 4, 40))
    batch = world.finish("filtered").batch
    p = batch.packets
    found = join(batch.take(np.flatnonzero((p["point"] < 3) | (p["frag_offset"] <= 0))))
    assert outcomes(found) == {Outcome.DELIVERED: 40}


def test_pings_cut_anew_are_answered() -> None:
    world = World(14)
    asked = Cut(1424).cross(world, pings(world, *ENDS[4], 20, size=4000), 0)
    chain = way(world, Together(), Router(), Cut(1480))
    arrived = Together().cross(world, world.run(chain, asked), 0)
    back = answer(world, once(arrived), ids="random")
    back.packets["df"] = 0
    world.run(way(world, Router(), Cut(776)), back, 0)
    found = join(world.finish("pings").batch)
    kinds = found.journeys["kind"]
    assert (found.journeys["reply"][kinds == Kind.ECHO_REQUEST] >= 0).all()
    assert (kinds == Kind.ECHO_REQUEST).sum() == (kinds == Kind.ECHO_REPLY).sum() == 20


def test_fragments_that_nobody_cuts_anew_stay_packets_of_their_own() -> None:
    world = World(15)
    frames = sent(world, 4, 20)
    pieces = int(is_piece(frames).sum())
    world.run(way(world, Router()), frames)
    found = join(world.finish("as they were").batch)
    assert len(found.journeys) == pieces == 80
    assert outcomes(found) == {Outcome.DELIVERED: 80}


@pytest.mark.parametrize("room", [1480, 8000])
def test_all_devices_of_a_router_in_one_capture(room: int) -> None:
    # Pieces and the whole have the same MACs, and nothing says which devices they are seen at.
    world = World(16)
    seen = world.point("any", "router")
    chain = Chain(
        world.point("eth0", "sender"), Link(), seen, Link(), Together(), seen, Router(), Cut(room),
        Tap(seen.point, seen.mac + 64), Link(), world.point("eth0", "receiver"),
    )  # fmt: skip
    world.run(chain, sent(world, 4, flows=3))
    world.points[seen.point] = replace(world.points[seen.point], several=True)
    scenario = world.finish("any")
    found = join(scenario.batch)
    assert outcomes(found) == {Outcome.DELIVERED: 30}
    assert is_right(scenario, found)


def test_lengths_of_headers_do_where_payloads_are_not_told() -> None:
    # As the kernel's own hooks show packets.
    world = World(17)
    world.run(way(world, Together(), Router(), Cut(1480)), sent(world, 4))
    scenario = world.finish("headers")
    scenario.batch.packets["payload_len"] = -1
    found = join(scenario.batch)
    assert outcomes(found) == {Outcome.DELIVERED: 30}
    assert is_right(scenario, found)


@pytest.mark.parametrize("point", [0, 2, 3])
def test_translated_datagrams_of_which_a_capture_cut_the_bytes(point: int) -> None:
    world = World(18)
    nat = world.nat(snat="203.0.113.7", ports="random", host="router")
    world.run(way(world, Together(), Router(nat), Cut(1480)), sent(world, 4, 60, flows=20))
    world.captures[point].snaplen = 96
    scenario = world.finish("cut captures")
    found = join(scenario.batch)
    assert outcomes(found) == {Outcome.DELIVERED: 60}
    assert is_right(scenario, found)
