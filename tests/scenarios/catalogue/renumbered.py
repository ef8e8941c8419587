"""Firewalls that choose sequence numbers anew, and SYN proxies."""

import numpy as np

from scenarios.clocks import SECOND, Clock
from scenarios.elements import Chain, Element, Link, Offload, Router
from scenarios.nat import Nat
from scenarios.places import EXTERNAL
from scenarios.renumbering import Numbers, Proxied, Shift, behind_firewall
from scenarios.scenario import Scenario
from scenarios.traffic import ACK, MILLI, PSH, Tcp
from scenarios.world import World
from tracer.core.address import encode_ip

CLIENT = "10.8.0.1"
OUTSIDE = "203.0.113.9"


def _translating(world: World) -> Nat:
    return world.nat(snat=OUTSIDE, ports="random", host="firewall")


def randomised(seed: int, scale: float) -> Scenario:
    """A firewall adds a constant of its own to the numbers of each connection and direction."""
    world = World(seed)
    tcp = Tcp.open(
        world, behind_firewall(world), max(int(60 * scale), 4), src=CLIENT, dst=EXTERNAL, hosts=5
    )
    tcp.talk(6, burst=2)
    tcp.close()
    return world.finish("renumbered")


def short(seed: int, scale: float) -> Scenario:
    """The same with one question and one answer a connection."""
    world = World(seed)
    tcp = Tcp.open(
        world, behind_firewall(world), max(int(150 * scale), 6), src=CLIENT, dst=EXTERNAL, hosts=5
    )
    tcp.talk(1, size=400)
    tcp.close()
    return world.finish("renumbered_short")


def translated(seed: int, scale: float) -> Scenario:
    """The firewall translates addresses and ports as well."""
    world = World(seed)
    chain = behind_firewall(world, _translating(world))
    tcp = Tcp.open(world, chain, max(int(60 * scale), 4), src=CLIENT, dst=EXTERNAL, hosts=5)
    tcp.talk(5, burst=2)
    tcp.close()
    return world.finish("renumbered_nat")


def _translators(world: World, host: str, net: int) -> tuple[Element, ...]:
    return (
        Link(40_000, 4_000),
        world.point("wan", host),
        Router(world.nat(snat=f"10.{net}.0.1", ports="random", host=host)),
        world.point("lan", host),
        Link(40_000, 4_000),
        world.point("wan", f"{host}2"),
        Router(world.nat(snat=f"10.{net}.0.2", ports="random", host=f"{host}2")),
        world.point("lan", f"{host}2"),
    )


def translated_around(seed: int, scale: float) -> Scenario:
    """Two others translate on either side of the firewall, with captures between them."""
    world = World(seed)
    chain = behind_firewall(
        world, near=_translators(world, "cpe", 251), far=_translators(world, "edge", 252)
    )
    tcp = Tcp.open(world, chain, max(int(40 * scale), 4), src=CLIENT, dst=EXTERNAL, hosts=3)
    tcp.talk(4, burst=2)
    tcp.close()
    return world.finish("renumbered_nat_around")


def _same_page(world: World, nat: Nat | None, scale: float, ids: str) -> Scenario:
    chain = behind_firewall(world, nat)
    tcp = Tcp.open(
        world, chain, max(int(120 * scale), 8), src=CLIENT, dst=EXTERNAL, hosts=30,
        gap_ns=200_000, ids=(ids, ids),
    )  # fmt: skip
    for side in (0, 1):
        tcp.streams[side][:] = 77 + side
    for _ in range(3):
        tcp.talk(1, size=300, reply=1200)
        tcp.send(1, np.arange(len(tcp.src)), ACK | PSH, 1448, burst=3)
        tcp.send(0, np.arange(len(tcp.src)), ACK)
    tcp.close()
    return world.finish("renumbered_same_page")


def same_page(seed: int, scale: float) -> Scenario:
    """Many clients fetch the same page at about the same time: bytes tell no connection."""
    return _same_page(World(seed), None, scale, "counter")


def same_page_translated(seed: int, scale: float) -> Scenario:
    """The same behind NAT."""
    world = World(seed)
    return _same_page(world, _translating(world), scale, "counter")


def same_page_id_zero(seed: int, scale: float) -> Scenario:
    """The same without IP ids."""
    return _same_page(World(seed), None, scale, "zero")


def lossy(seed: int, scale: float) -> Scenario:
    """Loss, reordering, retransmissions and copies, between clocks that are far apart."""
    world = World(seed)
    shift = Shift(world.rng)
    wire = Link(150_000, 20_000, loss=0.04, reorder=0.02)
    chain = behind_firewall(world, None, shift, wire=wire)
    world.clocks["client"] = Clock(offset_ns=7 * SECOND, drift_ppm=20)
    world.clocks["server"] = Clock(offset_ns=-3 * SECOND, drift_ppm=-15)
    tcp = Tcp.open(world, chain, max(int(40 * scale), 4), src=CLIENT, dst=EXTERNAL, hosts=3)
    tcp.talk(6, burst=3)
    tcp.close()
    return world.finish("renumbered_lossy")


def wrapping(seed: int, scale: float) -> Scenario:
    """Numbers that begin anew at 0 on one side or the other, in the middle of a connection."""
    world = World(seed)
    flows = max(int(60 * scale), 4)
    tcp = Tcp(
        world, behind_firewall(world), np.full(flows, encode_ip(CLIENT)[1], np.uint64),
        np.full(flows, encode_ip(EXTERNAL)[1], np.uint64), 40_000 + np.arange(flows),
        np.full(flows, 443), np.arange(flows) * MILLI,
    )  # fmt: skip
    for side in (0, 1):
        tcp.initial[side] = (1 << 32) - world.rng.integers(1, 8000, flows)
        tcp.seq[side] = tcp.initial[side].copy()
    tcp.shake()
    tcp.talk(4, burst=2, reply=1448)
    tcp.close()
    return world.finish("renumbered_wrapping")


def offloaded(seed: int, scale: float) -> Scenario:
    """Super-packets on one side of the firewall are segments on the other."""
    world = World(seed)
    chain = behind_firewall(world, _translating(world), far=(Offload(),))
    tcp = Tcp.open(world, chain, max(int(15 * scale), 3), src=CLIENT, dst=EXTERNAL)
    for size in (1448 * 10, 1448 * 4, 1448 * 30):
        tcp.talk(1, size, burst=4, reply=1448 * 5)
    return world.finish("renumbered_offloaded")


def selective_acks(seed: int, scale: float) -> Scenario:
    """SACK blocks, which are shifted as the numbers are."""
    world = World(seed)
    everyone = np.arange(max(int(20 * scale), 4))
    tcp = Tcp.open(world, behind_firewall(world), len(everyone), src=CLIENT, dst=EXTERNAL)
    for _ in range(4):
        tcp.send(0, everyone, ACK | PSH, 1448, burst=6)
        tcp.send(1, everyone, ACK, burst=5, sacked=1448)
        tcp.send(1, everyone, ACK | PSH, 200)
    return world.finish("renumbered_sack")


def twice(seed: int, scale: float) -> Scenario:
    """Two firewalls one after the other, the second of which translates."""
    world = World(seed)
    first, second = Shift(world.rng), Shift(world.rng)
    chain = Chain(
        Numbers(second, end=True),
        Numbers(first, end=True),
        world.point("eth0", "client"),
        Link(50_000, 5_000),
        Numbers(first),
        Router(),
        world.point("between", "core"),
        Link(50_000, 5_000),
        Numbers(second),
        Router(_translating(world)),
        world.point("eth0", "server"),
    )
    tcp = Tcp.open(world, chain, max(int(40 * scale), 4), src=CLIENT, dst=EXTERNAL)
    tcp.talk(5)
    return world.finish("renumbered_twice")


def reused_ports(seed: int, scale: float) -> Scenario:
    """Ports that are used again after a second, with other numbers and another constant."""
    world = World(seed)
    chain = behind_firewall(world)
    flows = max(int(30 * scale), 4)
    tcp = Tcp.open(world, chain, flows, src=CLIENT, dst=EXTERNAL)
    tcp.talk(3)
    tcp.close()
    again = Tcp(
        world, chain, tcp.src, tcp.dst, tcp.sport, tcp.dport,
        np.full(flows, 3 * SECOND) + np.arange(flows) * MILLI,
    )  # fmt: skip
    again.shake()
    again.talk(3)
    again.close()
    return world.finish("renumbered_reused_ports")


def _proxied(
    world: World, nat: Nat | None, scale: float, ids: tuple[str, str], stamps: bool
) -> Scenario:
    shift = Shift(world.rng, both=False, stamps=stamps)
    tcp = Proxied.open(
        world, behind_firewall(world, nat, shift), max(int(60 * scale), 4), src=CLIENT,
        dst=EXTERNAL, hosts=5, ids=ids,
    )  # fmt: skip
    tcp.talk(4)
    tcp.close()
    return world.finish("renumbered_syn_proxy")


def syn_proxy(seed: int, scale: float) -> Scenario:
    """A SYN proxy: it shakes hands with both ends itself, and the client's numbers stay."""
    return _proxied(World(seed), None, scale, ("counter", "counter"), stamps=False)


def syn_proxy_stamps(seed: int, scale: float) -> Scenario:
    """The same with the server's time stamps shifted, and IP id 0 in all packets."""
    return _proxied(World(seed), None, scale, ("zero", "zero"), stamps=True)


def syn_proxy_translated(seed: int, scale: float) -> Scenario:
    """The same behind NAT."""
    world = World(seed)
    return _proxied(world, _translating(world), scale, ("counter", "counter"), stamps=True)


SCENARIOS = {
    "renumbered": randomised,
    "renumbered_short": short,
    "renumbered_nat": translated,
    "renumbered_nat_around": translated_around,
    "renumbered_same_page": same_page,
    "renumbered_same_page_nat": same_page_translated,
    "renumbered_same_page_id_zero": same_page_id_zero,
    "renumbered_lossy": lossy,
    "renumbered_wrapping": wrapping,
    "renumbered_twice": twice,
    "renumbered_offloaded": offloaded,
    "renumbered_sack": selective_acks,
    "renumbered_reused_ports": reused_ports,
    "renumbered_syn_proxy": syn_proxy,
    "renumbered_syn_proxy_stamps": syn_proxy_stamps,
    "renumbered_syn_proxy_nat": syn_proxy_translated,
}
