"""Segments of super-packets that are lost: how many, and on which link."""

from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pytest
from scenarios.elements import Chain, Link, Offload, Router
from scenarios.frames import Frames
from scenarios.places import EXTERNAL, FIXED, snat
from scenarios.scenario import Scenario
from scenarios.traffic import ACK, MILLI, PSH, Tcp, pings
from scenarios.world import World

from tracer.core.enums import Event, Kind, Outcome
from tracer.core.segments import segment_events, steps_of
from tracer.correlate.join import join


@dataclass(slots=True)
class Lossy(Link):
    """A link that counts what it loses, by direction and packet."""

    lost: Counter[tuple[int, int]] = field(default_factory=Counter)

    def cross(self, world: World, frames: Frames, direction: int) -> Frames:
        """Return what arrives."""
        found = Link.cross(self, world, frames, direction)
        before, after = (Counter(each.meta["packet"].tolist()) for each in (frames, found))
        for packet, count in (before - after).items():
            self.lost[direction, packet] += count
        return found


def bulk(
    seed: int, across: bool, cut: bool = False
) -> tuple[Scenario, Counter[tuple[str, str]], set[int]]:
    """Return super-packets over three wires, how many segments each lost, and of which packets.

    `cut`: the first point shows single segments, too.
    """
    world = World(seed)
    wires = [Lossy(60_000, 5_000, loss=loss) for loss in (0.01, 0.02, 0.01)]
    router = Router(snat(world))
    client, server = world.point("client", "host0"), world.point("server", "host1")
    lan, wan = world.point("lan", "router"), world.point("wan", "router")
    switch = world.point("switch", "switch")
    chain = Chain(
        *((Offload(), client) if cut else (client, Offload())), wires[0], lan, router, wan,
        wires[1], switch, wires[2], Offload(reverse=True, limit=7, across=across), server,
    )  # fmt: skip
    tcp = Tcp.open(world, chain, 12, src=FIXED, dst=EXTERNAL)
    everyone = np.arange(12)
    for _ in range(6):  # nobody says what arrived
        tcp.send(0, everyone, ACK | PSH, 1448 * 20, burst=3, again=False)
    # All captures go on for a while, so that none of these was on its way when one stopped.
    later = pings(world, FIXED, EXTERNAL, 5, start_ns=10_000 * MILLI)
    world.run(Chain(client, Link(), lan, router, wan, Link(), switch, Link(), server), later)
    ends = ("client", "lan"), ("wan", "switch"), ("switch", "server")
    lost: Counter[tuple[str, str]] = Counter()
    for pair, wire in zip(ends, wires, strict=True):
        for (direction, _), count in wire.lost.items():
            lost[pair if direction == 0 else pair[::-1]] += count
    packets = {packet for wire in wires for _, packet in wire.lost}
    return world.finish("bulk"), lost, packets


@pytest.mark.parametrize("across", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_each_lost_segment_is_counted_on_its_link(seed: int, across: bool) -> None:
    scenario, lost, packets = bulk(seed, across)
    found = join(scenario.batch)
    names = [str(point.device) for point in found.observations.points]
    events = segment_events(found)
    events = events[events["event"] == Event.LOST]
    said = Counter(
        (names[a], names[b]) for a, b in zip(events["from_point"], events["to_point"], strict=True)
    )
    assert said == lost
    assert max(Counter(events["journey"].tolist()).values()) > 1  # of one in several places
    journeys = found.journeys
    first = scenario.truth.packet[found.hops["row"][journeys["first_hop"]]]
    is_lost = np.isin(first, list(packets))
    data = journeys["kind"] == Kind.TCP_DATA
    ended = np.where(is_lost, Outcome.VANISHED, Outcome.DELIVERED)
    assert (journeys["outcome"] == ended)[data].all()
    assert is_lost.sum() > 50


@pytest.mark.parametrize("across", [False, True])
def test_segments_of_one_packet_are_no_steps_of_each_other(across: bool) -> None:
    found = join(bulk(5, across, cut=True)[0].batch)
    steps = steps_of(found)
    assert (steps.from_point != steps.to_point).all()
    names = [str(point.device) for point in found.observations.points]
    pairs = {(names[a], names[b]) for a, b in zip(steps.from_point, steps.to_point, strict=True)}
    line = ("client", "lan", "wan", "switch", "server")
    near = set(pairwise(line))
    assert pairs == near | {pair[::-1] for pair in near}
