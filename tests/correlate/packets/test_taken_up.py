"""What a promiscuous bridge takes up, and routes a second time: one packet, two ways."""

import numpy as np
import pytest
from scenarios.catalogue.cluster import POD, SERVICE, bridged
from scenarios.elements import Chain, Link
from scenarios.traffic import MILLI, answer, datagrams
from scenarios.world import World

from tracer.core.enums import Outcome
from tracer.core.journeys import JourneySet
from tracer.correlate.join import join


def told(found: JourneySet, journey: int) -> list[tuple[str | None, int, int]]:
    """Device, TTL and parent of each hop of a journey."""
    first, count = (int(found.journeys[name][journey]) for name in ("first_hop", "n_hops"))
    hops = found.hops[first : first + count]
    packets = found.observations.packets[hops["row"]]
    names = [found.observations.points[point].name for point in packets["point"]]
    return list(zip(names, packets["ttl"].tolist(), hops["parent"].tolist(), strict=True))


def test_each_copy_goes_on_from_its_own_way() -> None:
    world = World(5)
    world.run(bridged(world), datagrams(world, POD, SERVICE, 40, flows=40, dport=53))
    found = join(world.finish("tree").batch)
    assert len(found.journeys) == 40
    for journey in range(40):
        assert sorted(told(found, journey)[:3]) == [
            ("cni0", 64, 2), ("eth0", 64, 0), ("veth1", 64, 1)
        ]  # fmt: skip
        hops = told(found, journey)
        parents = [(name, ttl, hops[above - 1][:2]) for name, ttl, above in hops[3:]]
        assert sorted(parents) == [
            ("cni0", 63, ("cni0", 64)), ("cni0", 64, ("cni0", 64)), ("eth0", 63, ("veth2", 63)),
            ("eth0", 64, ("veth2", 64)), ("veth2", 63, ("cni0", 63)), ("veth2", 64, ("cni0", 64)),
        ]  # fmt: skip


@pytest.mark.parametrize("lost", [(0.4, 0.0), (0.0, 0.4), (0.5, 0.5), (1.0, 0.3)])
def test_a_packet_is_lost_where_neither_copy_arrives(lost: tuple[float, float]) -> None:
    # Each copy is answered: there are more answers than questions, and order tells nothing.
    world = World(6)
    chain = bridged(world, lost)
    arrived = world.run(chain, datagrams(world, POD, SERVICE, 300, flows=3, dport=53))
    world.run(Chain(chain.elements[-1]), answer(world, arrived), 1)
    scenario = world.finish("loss")
    found = join(scenario.batch)
    packet = scenario.truth.packet[found.hops["row"][found.journeys["first_hop"]]]
    asked = packet < 300
    vanished = found.journeys["outcome"] == Outcome.VANISHED
    assert len(np.unique(packet[asked])) == asked.sum() == 300
    assert (vanished[asked] == ~np.isin(packet[asked], arrived.meta["packet"])).all()


def test_where_its_bridge_showed_it_after_the_port_nobody_is_expected_at_the_port() -> None:
    # The bridge's copy has the port's stamp, now shown before it and now after it.
    world = World(7)
    one, other = world.point("eth0", "pod1"), world.point("eth0", "pod2")
    into, bridge, out = (world.point(name, "node1") for name in ("veth1", "cni0", "veth2"))
    ways = (
        Chain(one, Link(), bridge, Link(900, 0), into, Link(), out, Link(), other),
        Chain(one, Link(), into, Link(), out, Link(900, 0), bridge),
    )
    for way in ways:
        way.entry = [(one.mac, other.mac)] * 2
        world.run(way, datagrams(world, POD, "10.244.1.12", 50, dport=53, gap_ns=MILLI))
    found = join(world.finish("after").batch)
    assert len(found.journeys) == 100
    assert not (found.journeys["outcome"] == Outcome.VANISHED).any()
