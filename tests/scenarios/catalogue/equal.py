"""Datagrams that are equal byte for byte: what their IP ids tell, or the time, or nothing."""

import numpy as np

from scenarios.elements import MICRO, Chain, Link, Router
from scenarios.frames import join
from scenarios.places import EXTERNAL, FIXED, dvr, snat
from scenarios.scenario import Scenario
from scenarios.traffic import MILLI, datagrams, exchange
from scenarios.world import World


def udp_equal(seed: int, scale: float) -> Scenario:
    """Heartbeats with equal bytes in bursts; IP ids tell them apart."""
    return _heartbeats(seed, scale, "counter", 15_000)


def udp_equal_id0(seed: int, scale: float) -> Scenario:
    """Heartbeats with equal bytes and IP id 0 in bursts: nothing tells them apart."""
    return _heartbeats(seed, scale, "zero", 15_000)


def udp_equal_spaced(seed: int, scale: float) -> Scenario:
    """Heartbeats with equal bytes and IP id 0, half a second apart: time tells them apart."""
    return _heartbeats(seed, scale, "zero", 500 * MILLI)


def _heartbeats(seed: int, scale: float, ids: str, gap_ns: int) -> Scenario:
    world = World(seed)
    n = max(int(300 * scale), 10)
    sent = datagrams(
        world, FIXED, EXTERNAL, n, dport=9999, size=16, constant=True, ids=ids, gap_ns=gap_ns
    )
    world.run(dvr(world, snat(world)), sent)
    return world.finish("udp_equal")


def udp_equal_lossy(seed: int, scale: float) -> Scenario:
    """Heartbeats with equal bytes and IP id 0, some lost on their way, some missed by captures."""
    return _lossy(seed, scale, 40 * MICRO, 8 * MICRO, (150 * MICRO, 400 * MICRO, 2 * MILLI))


def udp_equal_far(seed: int, scale: float) -> Scenario:
    """As lossy ones, but many are on a long way at once: each time they take is about the same."""
    return _lossy(seed, scale, 30 * MILLI, 60 * MICRO, (MILLI, 3 * MILLI, 20 * MILLI))


def udp_equal_crowded(seed: int, scale: float) -> Scenario:
    """As lossy ones, but what they take varies as much as the time between them."""
    return _lossy(seed, scale, 40 * MICRO, 60 * MICRO, (50 * MICRO, 100 * MICRO, 200 * MICRO))


def udp_equal_far_crowded(seed: int, scale: float) -> Scenario:
    """As crowded ones, on a long way."""
    return _lossy(seed, scale, 5 * MILLI, 300 * MICRO, (500 * MICRO, MILLI, 2 * MILLI))


def udp_equal_regular(seed: int, scale: float) -> Scenario:
    """As lossy ones, but sent as regularly as links are, with several on a long way at once."""
    return _lossy(seed, scale, 34 * MILLI, 100 * MICRO, (10 * MILLI, 20 * MILLI), 60 * MICRO)


def udp_equal_hosts(seed: int, scale: float) -> Scenario:
    """Equal heartbeats with IP id 0 of several hosts through one NAT, each in its own rhythm."""
    return _of_hosts(seed, scale, 6, 40 * MICRO, 8 * MICRO, 10 * MILLI)


def udp_equal_hosts_far(seed: int, scale: float) -> Scenario:
    """As those of several hosts, with long ways before the NAT and behind it."""
    return _of_hosts(seed, scale, 12, 30 * MILLI, MILLI, 600 * MILLI)


def _of_hosts(
    seed: int, scale: float, hosts: int, delay_ns: int, jitter_ns: int, gap_ns: int
) -> Scenario:
    world = World(seed)
    loose = [world.point(f"dev{i}", "host", f"ns{(i + 1) // 2}") for i in range(4)]
    nat = Router(world.nat(snat="203.0.113.7", ports="random"), loss=0.02)
    wire = Link(delay_ns, jitter_ns, 0.02)
    n = max(int(160 * scale), 64)
    sent = [
        datagrams(world, f"10.1.1.{host}", EXTERNAL, n, sport=5353, dport=9999, size=16,
                  constant=True, ids="zero", gap_ns=gap_ns, start_ns=host * 300 * MICRO)
        for host in range(1, hosts + 1)
    ]  # fmt: skip
    chain = Chain(loose[0], wire, loose[1], nat, loose[2], wire, loose[3])
    exchange(world, chain, join(sent), ids="zero", echo=True)
    return world.finish("udp_equal_hosts")


def _lossy(
    seed: int, scale: float, delay_ns: int, jitter_ns: int, gaps_ns: tuple[int, ...],
    late_ns: int | None = None,
) -> Scenario:  # fmt: skip
    # `late_ns`: how late a timer is at most that is else regular.
    world = World(seed)
    loose = [world.point(f"dev{i}", "host", f"ns{(i + 1) // 2}") for i in range(4)]
    nat = world.nat(snat="203.0.113.7", ports="random")
    wire = [Link(delay_ns + more, jitter_ns, 0.04) for more in (0, 10 * MICRO)]
    chain = Chain(loose[0], wire[0], loose[1], Router(nat, loss=0.04), loose[2], wire[1], loose[3])
    for number in (1, 2):
        world.captures[number].missed = 0.02
    n = max(int(200 * scale), 20)
    for flow, gap_ns in enumerate(gaps_ns):
        sent = datagrams(world, FIXED, EXTERNAL, n, dport=9999, size=16, constant=True, ids="zero",
                         gap_ns=gap_ns, start_ns=6000 * MILLI * flow)  # fmt: skip
        if late_ns is not None:
            due = sent.meta["true_ns"][0] + np.arange(n) * gap_ns
            sent.meta["true_ns"] = due + world.rng.integers(0, late_ns, n)
        exchange(world, chain, sent, echo=True)
    return world.finish("udp_equal_lossy")


SCENARIOS = {
    "udp_equal": udp_equal,
    "udp_equal_id0": udp_equal_id0,
    "udp_equal_spaced": udp_equal_spaced,
    "udp_equal_lossy": udp_equal_lossy,
    "udp_equal_far": udp_equal_far,
    "udp_equal_hosts": udp_equal_hosts,
    "udp_equal_hosts_far": udp_equal_hosts_far,
}

CLAIMS_ONLY = {
    "udp_equal_crowded": udp_equal_crowded,
    "udp_equal_far_crowded": udp_equal_far_crowded,
    "udp_equal_regular": udp_equal_regular,
}
