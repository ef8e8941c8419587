"""IPv6: no IP id helps, errors quote all of a packet, and NAT66 exists."""

import numpy as np

from scenarios.clocks import EPOCH
from scenarios.elements import Chain, Link, Router
from scenarios.frames import Frames, join, measure
from scenarios.nat import Nat
from scenarios.places import line
from scenarios.scenario import Scenario
from scenarios.special import errors, fragments
from scenarios.traffic import MILLI, answer, datagrams, exchange, once, pings
from scenarios.world import World

A, B, OUTSIDE, ROUTER = "2001:db8::10", "2001:db8:1::20", "2001:db8:9::7", "2001:db8:ffff::1"
UNREACHABLE, TOO_BIG, EXCEEDED = (1, 4), (2, 0), (3, 0)


def ipv6(seed: int, scale: float) -> Scenario:
    """IPv6 pings, datagrams and fragments over routers, no IP id to help."""
    world = World(seed)
    chain = line(world, 6)
    n = max(int(150 * scale), 8)
    exchange(world, chain, pings(world, A, B, n))
    exchange(world, chain, datagrams(world, A, B, n, dport=53, flows=n))
    world.run(chain, fragments(world, datagrams(world, A, B, n // 2, size=(3000, 6000))))
    return world.finish("ipv6")


def _equal(seed: int, scale: float, apart_ns: int, nat: bool, dumped: bool = False) -> Scenario:
    world = World(seed)
    chain = line(world, 4, {0: world.nat(snat=OUTSIDE, ports="random")} if nat else None)
    n = max(int(40 * scale), 5)
    parts = [
        pings(world, f"2001:db8::{host:x}", B, n, icmp_id=7, constant=True, spread=0.0005,
              start_ns=host * apart_ns)
        for host in range(1, 7)
    ]  # fmt: skip
    arrived = once(world.run(chain, join(parts)))
    world.run(chain, answer(world, arrived), 1)
    return world.finish("icmp6_equal", conntrack=dumped)


def icmp6_equal(seed: int, scale: float) -> Scenario:
    """Hosts in step ping one target with equal id, seq and bytes: addresses tell them apart."""
    return _equal(seed, scale, 0, nat=False)


def icmp6_equal_nat(seed: int, scale: float) -> Scenario:
    """The same through one NAT66: nothing tells them apart."""
    return _equal(seed, scale, 0, nat=True)


def icmp6_equal_spaced(seed: int, scale: float) -> Scenario:
    """The same with the hosts a millisecond out of step: time tells them apart."""
    return _equal(seed, scale, MILLI, nat=True)


def icmp6_equal_conntrack(seed: int, scale: float) -> Scenario:
    """In step through one NAT66, but a conntrack dump proves each translation."""
    return _equal(seed, scale, 0, nat=True, dumped=True)


def icmp6_errors(seed: int, scale: float) -> Scenario:
    """Packet too big, time exceeded and port unreachable."""
    return _errors(seed, scale, None)


def icmp6_errors_nat(seed: int, scale: float) -> Scenario:
    """The same through a NAT66, which translates the quote, too; traceroutes with equal bytes."""
    return _errors(seed, scale, OUTSIDE)


def _errors(seed: int, scale: float, outside: str | None) -> Scenario:
    world = World(seed)
    nats: dict[int, Nat] = {} if outside is None else {0: world.nat(snat=outside, ports="random")}
    chain = line(world, 6, nats)
    n = max(int(80 * scale), 8)
    for host in range(4):
        src = f"2001:db8::{0x10 + host:x}"
        sent = datagrams(world, src, B, n, dport=33434, flows=n // 4, gap_ns=2 * MILLI)
        arrived = world.run(chain, sent)
        world.run(chain, errors(world, arrived, B, *UNREACHABLE), 1)
        near = chain.until([e for e in chain.elements if isinstance(e, Router)][-1])
        for about, how in (
            (pings(world, src, B, n, constant=host % 2 == 0), EXCEEDED),
            (datagrams(world, src, B, n, flows=3, size=1400, gap_ns=3 * MILLI), TOO_BIG),
            (_probes(world, src, n), EXCEEDED),
        ):
            arrived = world.run(near, about)
            world.run(near, errors(world, arrived, ROUTER, *how), 1)
    return world.finish("icmp6_errors")


# As traceroute sends them: sixteen at once, equal bytes, a destination port each.
def _probes(world: World, src: str, count: int) -> Frames:
    sent = datagrams(world, src, B, count, sport=40_000, constant=True, size=32, gap_ns=30_000)
    sent.packets["dport"] = 33434 + np.arange(count)
    sent.meta["true_ns"] += np.arange(count) // 16 * 20 * MILLI
    sent.meta["flow"] = world.flow(count)
    return sent


def probes(seed: int, scale: float) -> Scenario:
    """Traceroutes that keep their ports (Paris): nothing but the TTL tells their probes apart."""
    return _traced(seed, scale, None)


def probes_nat(seed: int, scale: float) -> Scenario:
    """The same through a NAT66."""
    return _traced(seed, scale, OUTSIDE)


def _traced(seed: int, scale: float, outside: str | None) -> Scenario:
    world = World(seed)
    chain = line(world, 8, {0: world.nat(snat=outside, ports="random")} if outside else None)
    routers = [e for e in chain.elements if isinstance(e, Router)]
    rounds = max(int(20 * scale), 3)
    at_ns = EPOCH + np.arange(rounds) * 20 * MILLI
    for host in range(3):
        src, sport = f"2001:db8::{0x10 + host:x}", 40_000 + host
        exchange(world, chain, datagrams(world, src, B, rounds, dport=53, flows=rounds))
        flow = world.flow()[0]
        for ttl in range(1, len(routers) + 2):
            sent = datagrams(world, src, B, rounds, sport=sport, dport=33434, constant=True,
                             size=32)  # fmt: skip
            sent.packets["ttl"], sent.meta["flow"] = ttl, flow
            sent.meta["true_ns"] = at_ns + host * 5 * MILLI + ttl * 30_000
            way = chain if ttl > len(routers) else chain.until(routers[ttl - 1])
            world.run(way, sent)
    return world.finish("ipv6_probes")


def link_local(seed: int, scale: float) -> Scenario:
    """What every host sends alike on a link of its own, from addresses that nothing translates."""
    world = World(seed)
    for host in range(1, max(int(20 * scale), 4)):
        chain = Chain(world.point(f"h{host}"), Link(), world.point(f"port{host}"))
        start = host * 300_000
        world.run(chain, pings(world, f"fe80::{host}", "ff02::1", 1, icmp_id=7, constant=True,
                               start_ns=start, size=20, ttl=1))  # fmt: skip
        asked = datagrams(world, f"fe80::{host}", "ff02::fb", 3, sport=5353, dport=5353, size=300)
        world.run(chain, asked)
        chain.cross(world, _nameless(world, start, chain.entry[0][0]), 0)
    return world.finish("link_local")


# What a host sends before it has an address: reports of listeners, router solicitations.
def _nameless(world: World, start_ns: int, mac: int) -> Frames:
    said = pings(world, "::", "ff02::16", 2, constant=True, start_ns=start_ns, size=20, ttl=1)
    p = said.packets
    p["icmp_type"], p["icmp_id"], p["icmp_seq"] = (143, 133), -1, -1
    p["dst_lo"], p["ttl"], p["payload_len"] = (0x16, 2), (1, 255), (20, 0)
    p["src_mac"], p["dst_mac"] = mac, 0x333300000000 + p["dst_lo"]
    measure(said)
    return said


SCENARIOS = {
    "link_local": link_local,
    "ipv6": ipv6,
    "icmp6_equal": icmp6_equal,
    "icmp6_equal_nat": icmp6_equal_nat,
    "icmp6_equal_spaced": icmp6_equal_spaced,
    "icmp6_equal_conntrack": icmp6_equal_conntrack,
    "icmp6_errors": icmp6_errors,
    "icmp6_errors_nat": icmp6_errors_nat,
    "ipv6_probes": probes,
    "ipv6_probes_nat": probes_nat,
}
