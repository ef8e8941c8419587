"""A flooded frame is a tree: each branch parts at the bridge, and goes on from its own port."""

from dataclasses import replace

import numpy as np
import pytest
from made import batch_of
from numpy.typing import NDArray
from scenarios.catalogue import make
from scenarios.clocks import EPOCH
from scenarios.elements import Chain, Flood, Link
from scenarios.special import BROADCAST
from scenarios.traffic import datagrams, exchange, pings
from scenarios.world import World

from tracer.core.batch import ObservationBatch
from tracer.core.enums import Outcome
from tracer.core.journeys import JourneySet
from tracer.core.point import Point
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


def trees(found: JourneySet) -> list[dict[str, str | None]]:
    """The device that each device's hop came from, of the journeys of eight hops."""
    points = found.observations.points
    names = [points[p].device or "" for p in found.observations.packets["point"][found.hops["row"]]]
    return [
        {
            names[first + i]: names[first + above - 1] if above else None
            for i, above in enumerate(found.hops["parent"][first : first + count])
        }
        for first, count in zip(found.journeys["first_hop"], found.journeys["n_hops"], strict=True)
        if count == 8
    ]


@pytest.mark.parametrize("told", [True, False])
def test_each_branch_goes_on_from_its_own_port(told: bool) -> None:
    found = trees(flooded(told))
    assert len(found) == 5
    for tree in found:
        assert tree["a0"] is None
        assert [tree[f"{host}0"] for host in HOSTS] == [f"p{host}" for host in HOSTS]
        if told:
            assert tree["pa"] == "a0"
            assert {tree[f"p{host}"] for host in HOSTS} == {"pa"}


def unlearned(told: bool) -> JourneySet:
    """A datagram for host B that the bridge floods, for it never heard B; then what all send."""
    world = World(4, told=told)
    own, port = {}, {}
    for host in ("a", *HOSTS):
        own[host] = world.point(f"{host}0", netns=f"host-{host}")
        port[host] = world.point(f"p{host}", netns="bridge")
    branches = tuple(
        Chain(Link(wait, 0), port[host], Link(), own[host])
        for host, wait in zip(HOSTS, (2_000, 3_000, 1_000), strict=True)
    )
    world.run(
        Chain(own["a"], Link(), port["a"], Flood(branches)),
        datagrams(world, "10.0.0.97", "10.0.0.98", 1, dport=67),
    )
    for _, _, frames in world.seen:
        frames.packets["dst_mac"] = own["b"].mac
    for one, other in ("ab", "ar", "br", "cr"):
        chain = Chain(own[one], Link(), port[one], Link(), port[other], Link(), own[other])
        ends = (f"10.0.0.{ord(host)}" for host in (one, other))
        exchange(world, chain, pings(world, *ends, 4, start_ns=20_000_000))
    return join(world.finish("tree").batch)


@pytest.mark.parametrize("told", [True, False])
def test_a_frame_for_a_station_that_the_bridge_does_not_know_is_a_tree(told: bool) -> None:
    found = unlearned(told)
    (tree,) = trees(found)
    assert tree.pop("a0") is None
    assert tree.pop("pa") == "a0"
    assert tree == {f"{host}0": f"p{host}" for host in HOSTS} | {f"p{host}": "pa" for host in HOSTS}
    (flooded,) = np.flatnonzero(found.journeys["n_hops"] == 8)
    assert found.journeys["outcome"][flooded] == Outcome.DELIVERED
    assert found.observations.points[found.journeys["outcome_point"][flooded]].device == "b0"
    lines = found.hops[found.hops["journey"] != flooded]
    assert (lines["parent"] == lines["n"] - 1).all()


def test_hosts_whose_port_nothing_shows_come_from_where_the_flood_parted() -> None:
    # No packet to one station shows which port each host is at: none is said to come from another.
    world = World(4, told=True)
    own = {host: world.point(f"{host}0", host=f"host-{host}") for host in ("a", *HOSTS)}
    port = {host: world.point(f"p{host}", host="switch") for host in ("a", *HOSTS)}
    branches = tuple(
        Chain(Link(wait, 0), port[host], Link(), own[host])
        for host, wait in zip(HOSTS, (3_000, 2_000, 1_000), strict=True)
    )
    world.run(
        Chain(own["a"], Link(), port["a"], Flood(branches)),
        datagrams(world, "10.0.0.1", "255.255.255.255", 5, dport=67, gap_ns=10_000_000),
    )
    for _, _, frames in world.seen:
        frames.packets["dst_mac"] = BROADCAST
    parents = trees(join(world.finish("tree").batch))
    assert len(parents) == 5
    for tree in parents:
        assert tree.pop("a0") is None
        assert tree.pop("pa") == "a0"
        assert set(tree) == {f"{where}" for host in HOSTS for where in (f"{host}0", f"p{host}")}
        assert set(tree.values()) == {"pa"}


def test_each_copy_comes_out_of_the_tunnel_it_was_put_into() -> None:
    scenario = make("replicated", 1)
    found, batch = join(scenario.batch), scenario.batch
    outer = batch.column("outer_dst_lo")
    point = batch.packets["point"]
    cards = {code for code, place in enumerate(batch.points) if place.device == "ens1"}
    hops = found.hops
    before = hops[found.journeys["first_hop"][hops["journey"]] + hops["parent"] - 1]
    arrived = np.isin(point[hops["row"]], list(cards)) & np.isin(point[before["row"]], list(cards))
    arrived &= hops["parent"] > 0
    assert arrived.sum() > 400
    assert (outer[hops["row"][arrived]] == outer[before["row"][arrived]]).all()


def circling(ip_id: NDArray[np.int64]) -> ObservationBatch:
    """Broadcasts of these ids, one after the other, at each of two ports of a bridge."""
    frame = {
        "ethertype": 0x0800, "ip_version": 4, "src": "10.0.0.1", "dst": "10.0.0.255", "proto": 17,
        "sport": 137, "dport": 137, "ttl": 64, "payload_len": 40, "payload_digest": 9,
        "src_mac": "02:00:00:00:00:01", "dst_mac": "ff:ff:ff:ff:ff:ff",
    }  # fmt: skip
    ports = (Point("h", "b", "p0"), Point("h", "b", "p1"))
    batch = batch_of([{**frame, "point": port} for port in range(2)], ports)
    packets = np.repeat(batch.packets, len(ip_id))
    packets["ip_id"] = np.tile(ip_id, 2)
    packets["time_ns"] = EPOCH + 10_000 * np.arange(len(packets)) % (10_000 * len(ip_id))
    packets["time_ns"] += 1_000 * packets["point"]
    return replace(batch, packets=packets)


def test_a_frame_that_circles_is_one_journey_however_often() -> None:
    """With so many hops it is no tree any more; what a port shows again is a copy."""
    batch = circling(np.full(4_000, 7))
    hops = join(batch).hops
    assert len(hops) == len(batch)
    assert (hops["journey"] == 0).all()
    assert (hops["parent"][1:] > 0).all()
    assert (hops["parent"] < hops["n"]).all()
