"""A flooded frame is a tree: each branch parts at the bridge, and goes on from its own port."""

import pytest
from scenarios.elements import Chain, Flood, Link
from scenarios.special import BROADCAST
from scenarios.traffic import datagrams, exchange, pings
from scenarios.world import World

from tracer.core.journeys import JourneySet
from tracer.correlate.join import join

HOSTS = ("b", "c", "r")


def flooded(told: bool) -> JourneySet:
    """Broadcasts of host A over the ports of a bridge, and what others ask the router's host."""
    world = World(4, told=told)
    own, port = {}, {}
    for host in ("a", *HOSTS):
        own[host] = world.point(f"{host}0", netns=f"host-{host}")
        port[host] = world.point(f"p{host}", netns="bridge")
    branches = [Chain(port[host], Link(), own[host]) for host in HOSTS]
    for branch, wait in zip(branches, (3_000, 2_000, 1_000), strict=True):
        branch.elements = [Link(wait, 0), *branch.elements]
    world.run(
        Chain(own["a"], Link(), port["a"], Flood(tuple(branches))),
        datagrams(world, "10.0.0.1", "255.255.255.255", 5, dport=67, gap_ns=10_000_000),
    )
    for host in ("a", "b", "c"):
        chain = Chain(own[host], Link(), port[host], Link(), port["r"], Link(), own["r"])
        exchange(world, chain, pings(world, f"10.0.0.{ord(host)}", "10.0.0.9", 4))
    for _, _, frames in world.seen:
        frames.packets["dst_mac"][frames.packets["dport"] == 67] = BROADCAST
    return join(world.finish("tree").batch)


@pytest.mark.parametrize("told", [True, False])
def test_each_branch_goes_on_from_its_own_port(told: bool) -> None:
    found = flooded(told)
    points = found.observations.points
    names = [points[p].device for p in found.observations.packets["point"][found.hops["row"]]]
    trees = [
        {
            names[first + i]: names[first + above - 1] if above else None
            for i, above in enumerate(found.hops["parent"][first : first + count])
        }
        for first, count in zip(found.journeys["first_hop"], found.journeys["n_hops"], strict=True)
        if count == 8
    ]
    assert len(trees) == 5
    for tree in trees:
        assert tree["a0"] is None
        assert [tree[f"{host}0"] for host in HOSTS] == [f"p{host}" for host in HOSTS]
        if told:
            assert tree["pa"] == "a0"
            assert {tree[f"p{host}"] for host in HOSTS} == {"pa"}
