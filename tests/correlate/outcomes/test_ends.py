"""Packets for hosts behind one router, of which not every one was captured, or not all the time."""

import numpy as np
from scenarios.clocks import EPOCH
from scenarios.elements import Chain, Link, Router
from scenarios.frames import Frames
from scenarios.frames import join as together
from scenarios.nat import Nat
from scenarios.scenario import Scenario
from scenarios.special import errors
from scenarios.traffic import MILLI, answer, datagrams, exchange, once, pings
from scenarios.world import World

from tests.correlate.outcomes.endings import ended, lost, said
from tracer.core.enums import Kind, Outcome
from tracer.core.journeys import JourneySet
from tracer.correlate.join import join
from tracer.correlate.outcomes.reasons import CAPTURE_EDGE, CAPTURE_GAP

SERVER = "203.0.113.9"


def behind_a_router(world: World, clients: int, nat: Nat | None = None) -> list[Chain]:
    """Return the way of each client to a server: all cross the same link behind the router."""
    inside, outside = world.point("lan", "router", "r"), world.point("wan", "router", "r")
    server = world.point("eth0", "server")
    wire = Link(90_000, 9_000)
    return [
        Chain(world.point(f"tap{i}", "host", f"vm{i}"), Link(), Router(), inside,
              Router(nat) if nat else Link(), outside,
              wire, Router(), server)
        for i in range(clients)
    ]  # fmt: skip


def address(chain: Chain) -> str:
    """Return the address of the client on a way."""
    return f"10.1.0.{10 + chain.elements[0].point}"


def asked(world: World, src: str, count: int = 30, gap_ns: int = 10 * MILLI) -> Frames:
    """Return what a client asks: one ping process, and datagrams each from a port of its own."""
    sent = [
        pings(world, src, SERVER, count, gap_ns=gap_ns),
        datagrams(world, src, SERVER, count, gap_ns=gap_ns, flows=count, dport=53),
    ]
    return together(sent)


def talk(world: World, chains: list[Chain]) -> None:
    """Let every client ask and be answered."""
    for chain in chains:
        arrived = once(world.run(chain, asked(world, address(chain))))
        world.run(chain, answer(world, arrived), 1)


def ends_at(scenario: Scenario, found: JourneySet, name: str) -> np.ndarray:
    """Return the answers whose last hop is at a device."""
    j = found.journeys
    last = found.hops["row"][j["first_hop"] + j["n_hops"] - 1]
    packet = scenario.truth.packet[last]
    points = found.observations.points
    devices = np.array([str(points[p].device) for p in scenario.batch.packets["point"][last]])
    return np.flatnonzero((devices == name) & (scenario.truth.reply_of[packet] >= 0))


def test_answers_to_a_host_that_was_not_captured_arrived() -> None:
    # Of three clients one was not: its packets begin at the router, where others only pass.
    world = World(5)
    chains = behind_a_router(world, 3)
    talk(world, chains)
    world.captures[chains[1].elements[0].point].off = True
    scenario = world.finish("uncaptured")
    found = join(scenario.batch)
    here = ends_at(scenario, found, "lan")
    assert len(here) == 60
    assert (found.journeys["outcome"][here] == Outcome.DELIVERED).all()
    assert not len(ended(found, Outcome.VANISHED))


def test_a_packet_is_expected_where_others_for_its_destination_are() -> None:
    # One client's capture begins late: no flow of the time before it was ever seen there.
    world = World(6)
    chains = behind_a_router(world, 2)
    talk(world, [chains[0], chains[0], chains[1]])
    start_ms = 60
    world.captures[chains[1].elements[0].point].start_ns = EPOCH + start_ms * MILLI
    scenario = world.finish("late")
    found = join(scenario.batch)
    here = ends_at(scenario, found, "lan")
    datagram = found.journeys["proto"][here] == 17
    assert datagram.sum() >= 5
    assert (found.journeys["outcome"][here[datagram]] == Outcome.UNFINISHED).all()
    assert said(found, here[datagram]) == {CAPTURE_EDGE}
    assert not len(ended(found, Outcome.VANISHED))


def test_errors_for_several_hosts_behind_nat_are_expected_where_each_is() -> None:
    # They have one tuple beyond the NAT; one of the hosts is not captured yet when they come.
    world = World(8)
    nat = world.nat(snat="198.18.1.1", ports="random")
    chains = behind_a_router(world, 2, nat)
    for i, chain in enumerate(chains):
        unwanted = datagrams(
            world, address(chain), SERVER, 8, dport=33434, flows=8, start_ns=i * MILLI
        )
        world.run(chain, errors(world, once(world.run(chain, unwanted)), SERVER), 1)
    talk(world, chains)
    world.captures[chains[1].elements[0].point].start_ns = EPOCH + 11 * MILLI
    found = join(world.finish("errors").batch)
    kind, outcome = found.journeys["kind"], found.journeys["outcome"]
    refused = outcome[kind == Kind.ICMP_ERROR]
    assert np.isin(refused, (Outcome.DELIVERED, Outcome.UNFINISHED)).all()
    assert (refused == Outcome.UNFINISHED).sum() == 8


def test_questions_that_begin_behind_it_show_that_a_capture_was_interrupted() -> None:
    # Nothing is captured beyond the client that misses its answers while its capture pauses.
    world = World(7)
    chains = behind_a_router(world, 2)
    lan = Link(loss=0.1)
    for chain in chains:
        chain.elements = [chain.elements[0], lan, *chain.elements[2:]]
        talk(world, [chain])
    pause = (EPOCH + 100 * MILLI, EPOCH + 180 * MILLI)
    world.captures[chains[1].elements[0].point].gaps = (pause,)
    scenario = world.finish("pause")
    found = join(scenario.batch)
    missed, vanished = ended(found, Outcome.LOST_BY_TRACER), ended(found, Outcome.VANISHED)
    assert said(found, missed) == {CAPTURE_GAP}
    assert len(missed) > 10
    at_ns = found.journeys["last_ns"][missed]
    assert ((at_ns > pause[0] - MILLI) & (at_ns < pause[1])).all()
    assert len(vanished) > 5
    assert lost(scenario, found, vanished).all()


def test_an_interrupted_capture_of_one_of_several_tenants_with_one_address_missed_them() -> None:
    world = World(12)
    server = world.point("eth0", "server")
    for i in range(2):
        host, port = world.point("eth0", f"vm{i}"), world.point("tap", f"node{i}")
        nat = world.nat(snat=f"203.0.113.{5 + i}", ports="random", host=f"node{i}")
        chain = Chain(host, Link(), port, Router(nat), Link(loss=0.05), server)
        asked = datagrams(world, "192.168.3.69", SERVER, 400, gap_ns=MILLI, flows=20, dport=53)
        exchange(world, chain, asked)
        if i:
            gap = EPOCH + 150 * MILLI, EPOCH + 220 * MILLI
            world.captures[host.point].gaps = (gap,)
    scenario = world.finish("interrupted")
    found = join(scenario.batch)
    vanished = ended(found, Outcome.VANISHED)
    missed = ended(found, Outcome.LOST_BY_TRACER)
    assert len(vanished) > 60
    assert lost(scenario, found, vanished).all()
    assert 40 < len(missed) < 80
    assert not lost(scenario, found, missed).any()
