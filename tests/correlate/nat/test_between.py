"""Rows of a capture lie between those of a flow; those of another tenant's flow do not."""

import numpy as np
import pytest
from scenarios.elements import Chain, Element, Link, Tag, Tap, Tunnel
from scenarios.traffic import MILLI, datagrams, exchange
from scenarios.world import World

from tracer.core.enums import Encap
from tracer.correlate.join import JoinOptions, join

CLIENT, SERVER, COUNT = "10.0.0.5", "10.0.0.9", 60


def network(world: World, kind: str, tenant: int, nics: tuple[Tap, Tap]) -> Chain:
    """A tenant's way from one host to another, in its own VLAN or VXLAN segment."""
    near, far = world.point(f"tap-a{tenant}", "a"), world.point(f"tap-b{tenant}", "b")
    between: tuple[Element, ...] = (nics[0], Link(150_000, 10_000), nics[1])
    if kind == "vlan":
        segment: tuple[Element, ...] = (Tag(100 + tenant), *between, Tag(100 + tenant, end=True))
    else:
        segment = (Tunnel(Encap.VXLAN, 100 + tenant, "192.0.2.1", "192.0.2.2", between),)
    return Chain(near, Link(), *segment, Link(), far)


@pytest.mark.parametrize("kind", ["vlan", "vxlan"])
@pytest.mark.parametrize("flows", [1, COUNT])
def test_packets_alike_of_two_tenants_stay_two(kind: str, flows: int) -> None:
    world = World(1)
    nics = world.point("nic-a", "a"), world.point("nic-b", "b")
    for tenant in range(2):
        chain = network(world, kind, tenant, nics)
        exchange(world, chain, datagrams(world, CLIENT, SERVER, COUNT, sport=7000, dport=7001))
        sent = datagrams(world, CLIENT, SERVER, COUNT, sport=5000, dport=9999, size=20,
                         start_ns=tenant * MILLI // 5, constant=True, ids="zero")  # fmt: skip
        if flows > 1:
            sent.packets["sport"] = 5000 + np.arange(COUNT)
            sent.meta["flow"] = world.flow(COUNT)
        exchange(world, chain, sent, ids="zero", echo=True)
    scenario = world.finish("tenants")
    found = join(scenario.batch, (), JoinOptions())
    packet = scenario.truth.packet[found.hops["row"]]
    pairs = np.unique(np.column_stack([found.hops["journey"], packet]), axis=0)
    assert len(pairs) == len(found.journeys) == 8 * COUNT
