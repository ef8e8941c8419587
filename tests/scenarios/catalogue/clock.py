"""Clocks of several hosts that disagree."""

from collections.abc import Callable

from scenarios.catalogue.mess import traffic
from scenarios.clocks import EPOCH, SECOND, Clock
from scenarios.elements import Chain, Link, Router
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


SCENARIOS = {
    "clock_microseconds": microseconds,
    "clock_drift_long": drift_long,
    "clock_one_way_longer": one_way_longer,
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
