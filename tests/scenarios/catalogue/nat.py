"""Translations of every kind, with and without a conntrack dump."""

from collections.abc import Callable

from scenarios.clocks import Clock
from scenarios.elements import Chain, Link, Router, Tap
from scenarios.frames import join
from scenarios.nat import Nat
from scenarios.places import EXTERNAL, FIP, FIXED, dvr, ends, laptops, line, snat
from scenarios.scenario import Scenario
from scenarios.special import errors
from scenarios.traffic import MILLI, Tcp, answer, datagrams, exchange, once, pings
from scenarios.world import World


def _mixed(world: World, scale: float, **options: object) -> None:
    nat = snat(world)
    chain = dvr(world, nat)
    n = max(int(120 * scale), 5)
    exchange(world, chain, pings(world, FIXED, EXTERNAL, n))
    dns = datagrams(world, FIXED, EXTERNAL, n, dport=53, size=(30, 60), flows=n)
    exchange(world, chain, dns)
    tcp = Tcp.open(world, chain, n // 4 + 1, src=FIXED, dst=EXTERNAL)
    tcp.talk(3, burst=2)
    tcp.close()


def snat_dvr(seed: int, scale: float) -> Scenario:
    """A floating IP: pings, DNS and TCP leave with other ports and ids (--random-fully)."""
    world = World(seed)
    _mixed(world, scale)
    return world.finish("snat_dvr")


def snat_dvr_conntrack(seed: int, scale: float) -> Scenario:
    """The same with the qrouter's conntrack dump."""
    world = World(seed)
    _mixed(world, scale)
    return world.finish("snat_dvr_conntrack", conntrack=True)


def dnat(seed: int, scale: float) -> Scenario:
    """From outside to a floating IP; one service on another port."""
    world = World(seed)
    nat = world.nat(dnat=FIXED, dnat_port=8443, host="compute03")
    chain = dvr(world, nat, inbound=True)
    n = max(int(60 * scale), 4)
    tcp = Tcp.open(world, chain, n, src=EXTERNAL, dst=FIP, inbound=True)
    tcp.talk(4, burst=2)
    tcp.close()
    exchange(world, chain, pings(world, EXTERNAL, FIP, n), direction=1)
    exchange(world, chain, datagrams(world, EXTERNAL, FIP, n, dport=53), direction=1)
    return world.finish("dnat")


def hairpin(seed: int, scale: float) -> Scenario:
    """Source and destination translated in one step; both addresses change."""
    world = World(seed)
    nat = world.nat(snat="192.168.0.1", dnat="192.168.9.9", dnat_port=8080, ports="random")
    chain = line(world, 4, {0: nat})
    n = max(int(60 * scale), 4)
    tcp = Tcp.open(world, chain, n, src=FIXED, dst=FIP)
    tcp.talk(4, burst=2)
    exchange(world, chain, pings(world, FIXED, FIP, n))
    exchange(world, chain, datagrams(world, FIXED, FIP, n, flows=n // 2))
    return world.finish("hairpin")


def hairpin_lan(seed: int, scale: float) -> Scenario:
    """The same where both hosts are on one LAN: the router has one device, and errors come, too."""
    world = World(seed)
    nat = world.nat(snat="10.1.1.1", dnat="10.1.1.9", dnat_port=8080)
    n = max(int(40 * scale), 5)
    for host, chain in enumerate(_on_one_lan(world, nat, 2)):
        own = f"10.1.1.{20 + host}"
        refused = once(world.run(chain, datagrams(world, own, FIP, n, flows=n, dport=9)))
        world.run(chain, errors(world, refused, "10.1.1.9"), 1)
        exchange(world, chain, datagrams(world, own, FIP, n, flows=n // 2, dport=53))
        exchange(world, chain, pings(world, own, FIP, n))
    return world.finish("hairpin_lan")


def hairpin_cut(seed: int, scale: float) -> Scenario:
    """Flows of one packet through the same, of which captures cut the bytes."""
    world = World(seed)
    nat = world.nat(snat="10.1.1.1", dnat="10.1.1.9", dnat_port=8080)
    n = max(int(40 * scale), 5)
    for host, chain in enumerate(_on_one_lan(world, nat, 2)):
        world.run(chain, datagrams(world, f"10.1.1.{20 + host}", FIP, n, flows=n, dport=9))
    for capture in world.captures.values():
        capture.snaplen = 64
    return world.finish("hairpin_cut")


def hairpin_equal(seed: int, scale: float) -> Scenario:
    """Heartbeats of hosts on one LAN, alike but for what a NAT rewrites: all of both ends."""
    world = World(seed)
    nat = world.nat(snat="10.1.1.1", dnat="10.1.1.9", dnat_port=8080, ports="random")
    n = max(int(40 * scale), 5)
    for host, chain in enumerate(_on_one_lan(world, nat, 3)):
        for flow in range(3):
            start = 10 * MILLI * flow + 2 * MILLI * host
            sent = datagrams(world, f"10.1.1.{20 + host}", FIP, n, size=30, constant=True,
                             ids="zero", gap_ns=100 * MILLI, start_ns=start)  # fmt: skip
            exchange(world, chain, sent, ids="zero", echo=True)
    world.captures[0].off = True  # the router's device
    return world.finish("hairpin_equal")


def _on_one_lan(world: World, nat: Nat, hosts: int) -> list[Chain]:
    # From each host to one server, by the router's one device.
    lan, server = world.point("lan", "host", "router"), world.point("s0", "host", "server")
    own = [world.point(f"h{host}", "host", f"client{host}") for host in range(hosts)]
    return [
        Chain(one, Link(), lan, Router(nat), Tap(lan.point, lan.mac), Link(), server) for one in own
    ]


def masquerade_many(seed: int, scale: float) -> Scenario:
    """Thousands of flows of many hosts through one MASQUERADE at once."""
    world = World(seed)
    nat = world.nat(snat="203.0.113.7", ports="keep")
    chain = line(world, 4, {0: nat})
    flows = max(int(2500 * scale), 50)
    tcp = Tcp.open(
        world, chain, flows, src="10.1.0.1", dst=EXTERNAL, hosts=40, gap_ns=40_000, stamps=False
    )
    tcp.talk(1)
    for host in range(20):
        exchange(world, chain, pings(world, f"10.1.1.{host}", EXTERNAL, 8, icmp_id=host % 3))
    return world.finish("masquerade_many")


def nat_chain(seed: int, scale: float) -> Scenario:
    """Three translations in a row: qrouter, carrier, and a port forward at the end."""
    world = World(seed)
    nats = {
        0: world.nat(snat="172.16.5.5", ports="random"),
        4: world.nat(snat="100.64.0.9", ports="random"),
        8: world.nat(dnat="10.99.0.2", dnat_port=8000),
    }
    chain = line(world, 12, nats)
    n = max(int(60 * scale), 4)
    Tcp.open(world, chain, n, src=FIXED, dst=EXTERNAL).talk(3)
    exchange(world, chain, pings(world, FIXED, EXTERNAL, n))
    exchange(world, chain, datagrams(world, FIXED, EXTERNAL, 3 * n, flows=n))
    return world.finish("nat_chain")


def _one_sided(name: str, points: tuple[int, ...]) -> Callable[[int, float], Scenario]:
    def maker(seed: int, scale: float) -> Scenario:
        world = World(seed)
        _mixed(world, scale)
        for number, capture in world.captures.items():
            capture.off = number not in points
        return world.finish(name)

    maker.__doc__ = f"The floating IP's path captured at {len(points)} points on one side only."
    return maker


def laptops_nat(seed: int, scale: float) -> Scenario:
    """Two laptops either side of a NAT, clocks seconds apart, no other information."""
    world, chain, n = _laptops(seed, scale)
    exchange(world, chain, pings(world, "192.168.1.20", EXTERNAL, 2 * n, gap_ns=200 * MILLI))
    Tcp.open(world, chain, n // 3, src="192.168.1.20", dst=EXTERNAL, gap_ns=400 * MILLI).talk(6)
    dns = datagrams(world, "192.168.1.20", EXTERNAL, n, dport=53, gap_ns=150 * MILLI, flows=n)
    exchange(world, chain, dns)
    return world.finish("laptops_nat")


def laptops_one_way(seed: int, scale: float) -> Scenario:
    """The same with datagrams one way only: nothing bounds the offset, no hop time is known."""
    world, chain, n = _laptops(seed, scale)
    sent = datagrams(world, "192.168.1.20", EXTERNAL, 4 * n, dport=514, gap_ns=50 * MILLI, flows=5)
    world.run(chain, sent)
    return world.finish("laptops_one_way")


def laptops_busy(seed: int, scale: float) -> Scenario:
    """Equal pings without IP ids among much traffic that only one of the laptops sees."""
    world, chain, n = _laptops(seed, scale)
    asked = pings(world, "192.168.1.20", EXTERNAL, 2 * n, gap_ns=200 * MILLI, constant=True,
                  ids="zero")  # fmt: skip
    exchange(world, chain, asked, ids="zero")
    for side, net in zip(ends(chain), ("192.168.1", "100.121.9"), strict=True):
        alone = Chain(side)
        for host in range(4):
            sent = datagrams(world, f"{net}.{30 + host}", f"{net}.9", 6 * n, gap_ns=60 * MILLI,
                             flows=7)  # fmt: skip
            world.run(alone, sent)
        world.run(alone, pings(world, f"{net}.50", f"{net}.9", 2 * n, gap_ns=200 * MILLI,
                               constant=True, ids="zero"))  # fmt: skip
    return world.finish("laptops_busy")


def _laptops(seed: int, scale: float) -> tuple[World, Chain, int]:
    world = World(seed, told=False)
    chain = laptops(world, world.nat(snat="198.51.100.4", ports="random"))
    world.clocks["laptop-a"] = Clock(noise_ns=2_000, resolution_ns=1_000)
    world.clocks["laptop-b"] = Clock(-2_700_000_000, 23.0, noise_ns=2_000, resolution_ns=1_000)
    return world, chain, max(int(60 * scale), 6)


def counters_many(seed: int, scale: float) -> Scenario:
    """Datagrams with equal bytes and IP id 0, hundreds in a row, most from ports of their own."""
    world = World(seed)
    chain = line(world, 4, {0: world.nat(snat="203.0.113.7", ports="random")})
    n = max(int(400 * scale), 90)
    Tcp.open(world, chain, n // 10, src=FIXED, dst=EXTERNAL).talk(4)
    sent = datagrams(world, FIXED, EXTERNAL, n, dport=8125, size=20, constant=True, ids="zero",
                     flows=n, gap_ns=MILLI + MILLI // 2)  # fmt: skip
    world.run(chain, sent)
    return world.finish("counters_many")


def counters_answered(seed: int, scale: float) -> Scenario:
    """The same closer to each other than others show that they can be, with equal answers."""
    world = World(seed)
    chain = line(world, 4, {0: world.nat(snat="203.0.113.7", ports="random")})
    n = max(int(400 * scale), 90)
    Tcp.open(world, chain, n // 10, src=FIXED, dst=EXTERNAL).talk(4)
    sent = datagrams(world, FIXED, EXTERNAL, n, dport=8125, size=20, constant=True, ids="zero",
                     flows=8 * n, gap_ns=MILLI // 3)  # fmt: skip
    exchange(world, chain, sent, ids="zero", echo=True)
    return world.finish("counters_answered")


HOW = {"random": "of one port", "keep": "of a few ports, which the NAT keeps"}


def _counters_alone(name: str, ports: str, flows: int) -> Callable[[int, float], Scenario]:
    def maker(seed: int, scale: float) -> Scenario:
        world = World(seed)
        chain = line(world, 4, {0: world.nat(snat="203.0.113.7", ports=ports)})
        sent = datagrams(world, FIXED, EXTERNAL, max(int(400 * scale), 90), dport=8125, size=20,
                         constant=True, ids="zero", flows=flows, gap_ns=MILLI)  # fmt: skip
        world.run(chain, sent)
        return world.finish(name)

    maker.__doc__ = f"The same, alone, {HOW[ports]}."
    return maker


def ports_swapped(seed: int, scale: float) -> Scenario:
    """A NAT gives each of two hosts the other one's port; all else of their packets is alike."""
    world = World(seed)
    other = {5000: 6000, 6000: 5000}
    chain = line(world, 2, {0: world.nat(snat="2001:db8:f::7", ports=lambda p: other[p["sport"]])})
    n = max(int(80 * scale), 10)
    start = None
    for host, port in enumerate(other):
        sent = datagrams(world, f"fd00::{2 + host}", "2001:db8:1::20", n, sport=port, dport=53,
                         size=32, constant=True, gap_ns=10 * MILLI)  # fmt: skip
        start = sent.meta["true_ns"] if start is None else start
        sent.meta["true_ns"] = start + 150_000 * host
        exchange(world, chain, sent, echo=True)
    return world.finish("ports_swapped")


def icmp_equal(seed: int, scale: float) -> Scenario:
    """Hosts ping one target with equal id, seq and bytes through one NAT; IP ids differ."""
    return _equal_pings(seed, scale, "random")


def icmp_equal_id0(seed: int, scale: float) -> Scenario:
    """The same with IP id 0 and the hosts in step: nothing tells them apart."""
    return _equal_pings(seed, scale, "zero")


def icmp_equal_spaced(seed: int, scale: float) -> Scenario:
    """The same with IP id 0 and the hosts a millisecond out of step: time tells them apart."""
    return _equal_pings(seed, scale, "zero", apart_ns=MILLI)


def _equal_pings(seed: int, scale: float, ids: str, apart_ns: int = 0) -> Scenario:
    world = World(seed)
    chain = line(world, 4, {0: world.nat(snat="203.0.113.7", ports="random")})
    n = max(int(40 * scale), 5)
    parts = [
        pings(
            world,
            f"10.1.1.{host}",
            EXTERNAL,
            n,
            icmp_id=7,
            constant=True,
            ids=ids,
            start_ns=host * apart_ns,
            spread=0.0005,
        )
        for host in range(1, 7)
    ]
    arrived = once(world.run(chain, join(parts)))
    world.run(chain, answer(world, arrived, ids=ids), 1)
    return world.finish("icmp_equal")


def icmp_equal_lan(seed: int, scale: float) -> Scenario:
    """The same over IPv6 from hosts with MACs of their own, whose answers leave by one device."""
    world = World(seed)
    nat = world.nat(snat="2001:db8:f::7", netns="router")
    inner, outer = (
        world.point("i0", "compute03", "router"),
        world.point("o0", "compute03", "router"),
    )
    server = world.point("s0", "compute03", "server")
    n = max(int(40 * scale), 5)
    for host in range(1, 5):
        own = world.point(f"h{host}", "compute03", f"host{host}")
        chain = Chain(own, Link(), inner, Router(nat), outer, Link(), server)
        asked = pings(world, f"2001:db8:1::{host}", "2001:db8:2::2", n, icmp_id=7, constant=True,
                      start_ns=host * 250_000, spread=0.002)  # fmt: skip
        exchange(world, chain, asked)
    return world.finish("icmp_equal_lan")


def icmp_equal_conntrack(seed: int, scale: float) -> Scenario:
    """Indistinguishable by bytes, but a conntrack dump proves each translation."""
    world = World(seed)
    chain = line(world, 4, {0: world.nat(snat="203.0.113.7", ports="random")})
    n = max(int(40 * scale), 5)
    parts = [
        pings(
            world, f"10.1.1.{host}", EXTERNAL, n, icmp_id=7, constant=True, ids="zero", spread=0.002
        )
        for host in range(1, 7)
    ]
    arrived = once(world.run(chain, join(parts)))
    world.run(chain, answer(world, arrived, ids="zero"), 1)
    return world.finish("icmp_equal_conntrack", conntrack=True)


def rebinding(seed: int, scale: float) -> Scenario:
    """One tuple gets another id or port when its conntrack entry has timed out in between."""
    world = World(seed)
    chain = dvr(world, snat(world))
    n = max(int(25 * scale), 4)
    for epoch in range(4):
        start = epoch * 40_000 * MILLI
        asked = pings(world, FIXED, EXTERNAL, n, icmp_id=22344, first_seq=1 + epoch * n,
                      start_ns=start, constant=True, ids="zero")  # fmt: skip
        exchange(world, chain, asked, ids="zero")
        sent = datagrams(world, FIXED, EXTERNAL, n, sport=5060, dport=5060, start_ns=start)
        exchange(world, chain, sent)
    return world.finish("rebinding")


def port_reuse(seed: int, scale: float) -> Scenario:
    """A translated port is used again by another host once it is free."""
    world = World(seed)
    chain = line(world, 4, {0: world.nat(snat="203.0.113.7", ports="keep")})
    n = max(int(25 * scale), 4)
    for epoch in range(4):
        for host in range(8):
            start = (epoch * 300 + host * 35) * 1000 * MILLI
            sent = datagrams(world, f"10.1.1.{host + epoch}", EXTERNAL, n, sport=5060, dport=5060,
                             start_ns=start)  # fmt: skip
            world.nats[0].taken.clear()
            exchange(world, chain, sent)
    return world.finish("port_reuse")


SCENARIOS = {
    "snat_dvr": snat_dvr,
    "snat_dvr_conntrack": snat_dvr_conntrack,
    "dnat": dnat,
    "hairpin": hairpin,
    "hairpin_lan": hairpin_lan,
    "hairpin_cut": hairpin_cut,
    "masquerade_many": masquerade_many,
    "nat_chain": nat_chain,
    "one_sided_outside": _one_sided("one_sided_outside", (2, 3, 4, 5)),
    "one_sided_inside": _one_sided("one_sided_inside", (0, 1)),
    "ports_swapped": ports_swapped,
    "rebinding": rebinding,
    "port_reuse": port_reuse,
    "laptops_nat": laptops_nat,
    "laptops_one_way": laptops_one_way,
    "laptops_busy": laptops_busy,
    "counters_many": counters_many,
    "counters_answered": counters_answered,
    "counters_one": _counters_alone("counters_one", "random", 1),
    "counters_kept": _counters_alone("counters_kept", "keep", 5),
    "icmp_equal": icmp_equal,
    "icmp_equal_id0": icmp_equal_id0,
    "icmp_equal_spaced": icmp_equal_spaced,
    "icmp_equal_lan": icmp_equal_lan,
    "icmp_equal_conntrack": icmp_equal_conntrack,
}
