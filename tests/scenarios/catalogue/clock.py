"""Clocks of several hosts that disagree."""

from collections.abc import Callable

import numpy as np

from scenarios.catalogue.mess import traffic
from scenarios.clocks import EPOCH, SECOND, Clock
from scenarios.elements import Chain, Link, Router
from scenarios.nat import Nat
from scenarios.places import EXTERNAL, FIXED, WIRE_NS, dvr, snat
from scenarios.scenario import Scenario
from scenarios.traffic import MILLI, datagrams, exchange, pings
from scenarios.world import World


def _clocks(
    name: str, doc: str, told: bool = True, **clocks: Clock
) -> Callable[[int, float], Scenario]:
    def maker(seed: int, scale: float) -> Scenario:
        world = World(seed, told=told)
        world.clocks.update(clocks)
        traffic(world, scale)
        return world.finish(name)

    maker.__doc__ = doc
    return maker


def drift_long(seed: int, scale: float) -> Scenario:
    """Ten minutes of sparse traffic between clocks that drift apart by 35 milliseconds."""
    world = World(seed)
    world.clocks.update(gateway=Clock(-SECOND, 35.0), server=Clock(SECOND // 3, -25.0, (), 4_000))
    chain = dvr(world, snat(world))
    n = max(int(200 * scale), 20)
    gap = 600 * SECOND // n
    exchange(world, chain, pings(world, FIXED, EXTERNAL, n, gap_ns=gap))
    exchange(world, chain, datagrams(world, FIXED, EXTERNAL, n, dport=53, gap_ns=gap, flows=n))
    return world.finish("clock_drift_long")


def one_way_longer(seed: int, scale: float) -> Scenario:
    """The way back takes half a millisecond longer: the offset is uncertain by that much."""
    world = World(seed)
    world.clocks.update(gateway=Clock(2 * SECOND), server=Clock(-SECOND))
    traffic(world, scale, Link(WIRE_NS, 20_000, back_ns=500_000))
    return world.finish("clock_one_way_longer")


def microseconds(seed: int, scale: float) -> Scenario:
    """Stamps of microseconds, as tcpdump writes them, at devices half a microsecond apart."""
    world = World(seed)
    world.clocks["compute03"] = Clock(resolution_ns=1_000)
    shared = [
        world.point(name, netns=netns)
        for name, netns in (("pr", "lan"), ("i0", "r1"), ("o0", "r1"), ("s0", "server"))
    ]
    n = max(int(100 * scale), 20)
    for host in "ab":
        own = world.point(f"{host}0", netns=f"host-{host}"), world.point(f"p{host}", netns="lan")
        near = [part for tap in (*own, *shared[:2]) for part in (tap, Link(450, 150))]
        chain = Chain(*near[:-1], Router(), shared[2], Link(450, 150), shared[3])
        asked = datagrams(world, f"10.9.1.{ord(host)}", EXTERNAL, n, dport=53, flows=n)
        exchange(world, chain, asked)
    return world.finish("clock_microseconds")


def alike(seed: int, scale: float) -> Scenario:
    """Equal pings without IP ids of many hosts, to a server whose clock is seconds off."""
    world = World(seed)
    world.clocks["server"] = Clock(2 * SECOND, 30.0)
    lan, wan = world.point("lan", "router"), world.point("wan", "router")
    chain = Chain(lan, Router(), wan, Link(WIRE_NS, 20_000), world.point("eth0", "server"))
    for host in range(max(int(60 * scale), 40)):
        exchange(
            world, chain,
            pings(
                world, f"10.3.0.{host + 1}", EXTERNAL, 12, icmp_id=1, constant=True, ids="zero",
                gap_ns=SECOND, start_ns=host * 7 * MILLI, spread=0.001,
            ), ids="zero",
        )  # fmt: skip
    return world.finish("clock_alike")


LONGEST_MS = 401  # may what compares two clocks have been on its way


def _one_way(ahead_ms: int, longer_ms: int = 0) -> Callable[[int, float], Scenario]:
    def maker(seed: int, scale: float) -> Scenario:
        world = World(seed, loose_ns=LONGEST_MS * MILLI)
        world.clocks["server"] = Clock(ahead_ms * MILLI)
        wan, server = world.point("wan0", "router"), world.point("eth0", "server")
        world.captures[wan.point].off = True
        n = max(int(100 * scale), 20)

        def chain(number: int, nat: Nat, wire_ms: int = 0) -> Chain:
            wire = Link(WIRE_NS + wire_ms * MILLI, 20_000)
            lan = world.point(f"lan{number}", "router")
            return Chain(lan, Link(), Router(nat), wan, wire, Router(), server)

        source = world.nat(snat="203.0.113.7", ports="random")
        target = world.nat(dnat="10.9.9.9", dnat_port=8125)
        compared = datagrams(world, "10.1.0.1", EXTERNAL, n, dport=514, gap_ns=80 * MILLI)
        world.run(chain(0, source, longer_ms), compared)
        # Heartbeats in turn, of which each is as far from the next one as clocks are, or further.
        for host in range(8):
            _beats(world, chain(1 + host, source), f"10.1.1.{host}", n // 4, 1000, host * 125, 20)
        equal = datagrams(world, "10.1.2.1", EXTERNAL, 3 * n, size=24, constant=True, ids="zero",
                          flows=6, gap_ns=40 * MILLI)  # fmt: skip
        world.run(chain(9, target), equal)
        for host in range(0 if longer_ms else 2):  # far enough from each other
            _beats(world, chain(10 + host, source), f"10.1.3.{host}", n // 4, 1400, host * 700, 28)
        return world.finish("clock_one_way")

    compares = f"that is {ahead_ms} ms ahead" if ahead_ms > 0 else f"{-ahead_ms} ms behind"
    if longer_ms:
        compares = f"whose clock is right; those that compare it take {longer_ms} ms longer"
    maker.__doc__ = f"Equal datagrams through a NAT, one way only, to a server {compares}."
    return maker


def _beats(
    world: World, chain: Chain, src: str, count: int, every_ms: int, start_ms: int, size: int
) -> None:
    # Datagrams without a number, all alike.
    sent = datagrams(world, src, EXTERNAL, count, dport=8125, size=size, constant=True, ids="zero")
    at_ms = start_ms + np.arange(count) * every_ms
    sent.meta["true_ns"] = EPOCH + at_ms * MILLI + world.rng.integers(0, MILLI, count)
    world.run(chain, sent)


SCENARIOS = {
    "clock_microseconds": microseconds,
    "clock_drift_long": drift_long,
    "clock_one_way_longer": one_way_longer,
    "clock_alike": alike,
    "clock_one_way_50": _one_way(50),
    "clock_one_way_150": _one_way(150),
    "clock_one_way_300": _one_way(300),
    "clock_one_way_behind": _one_way(-150),
    "clock_one_way_detour": _one_way(0, 150),
    "clock_offsets": _clocks(
        "clock_offsets", "Clocks of hosts are seconds apart.",
        gateway=Clock(3 * SECOND), server=Clock(-7 * SECOND // 2, noise_ns=3_000),
    ),
    "clock_drift": _clocks(
        "clock_drift", "Clocks of hosts drift by tens of ppm.",
        gateway=Clock(-SECOND, 40.0), server=Clock(SECOND // 3, -55.0),
    ),
    "clock_step": _clocks(
        "clock_step", "A host's clock is stepped by NTP in the middle.",
        server=Clock(5 * MILLI, steps=((EPOCH + 200 * MILLI, -40 * MILLI),)),
    ),
    "hosts_unknown": _clocks(
        "hosts_unknown", "Nobody says which file is from which host, and their clocks differ.",
        told=False, gateway=Clock(2 * SECOND), server=Clock(-SECOND, 30.0),
    ),
}  # fmt: skip
