"""Everything that is not TCP: UDP, ICMP and its errors, ARP, fragments, floods, tunnels."""

from collections.abc import Callable

from scenarios.elements import Chain, Element, Flood, Link, OuterRouter, Router, Tunnel
from scenarios.frames import Frames, join
from scenarios.places import EXTERNAL, FIXED, WIRE_NS, dvr, line, snat
from scenarios.scenario import Scenario
from scenarios.special import arp_replies, arp_requests, errors, fragments
from scenarios.traffic import MILLI, Tcp, datagrams, exchange, once, pings
from scenarios.world import World
from tracer.core.enums import Encap


def dns(seed: int, scale: float) -> Scenario:
    """Lookups from ephemeral ports through a masquerade."""
    world = World(seed)
    chain = line(world, 4, {0: world.nat(snat="203.0.113.7", ports="random")})
    n = max(int(800 * scale), 20)
    asked = datagrams(world, FIXED, EXTERNAL, n, dport=53, size=(28, 70), flows=n, gap_ns=60_000)
    exchange(world, chain, asked)
    return world.finish("udp_dns")


def quic(seed: int, scale: float) -> Scenario:
    """Long-lived encrypted flows, IP id 0, many datagrams of one size."""
    world = World(seed)
    n = max(int(800 * scale), 20)
    sent = datagrams(
        world, FIXED, EXTERNAL, n, dport=443, size=1252, flows=12, gap_ns=25_000, ids="zero"
    )
    exchange(world, dvr(world, snat(world)), sent, ids="zero")
    return world.finish("udp_quic")


def udp_echoes(seed: int, scale: float) -> Scenario:
    """Datagrams that are sent back as they came, with IP id 0, captured before a NAT only."""
    world = World(seed)
    chain = dvr(world, snat(world))
    n = max(int(150 * scale), 12)
    for size, constant in ((40, False), (16, True)):
        sent = datagrams(world, FIXED, EXTERNAL, n, dport=7, size=size, constant=constant,
                         ids="zero", flows=3, gap_ns=40 * MILLI)  # fmt: skip
        exchange(world, chain, sent, ids="zero", echo=True)
    for number, capture in world.captures.items():
        capture.off = number > 1
    return world.finish("udp_echoes")


def icmp_errors(seed: int, scale: float) -> Scenario:
    """Port unreachable from the server and time exceeded from a router, back through the NAT."""
    world = World(seed)
    chain = dvr(world, snat(world))
    n = max(int(100 * scale), 8)
    arrived = world.run(chain, datagrams(world, FIXED, EXTERNAL, n, dport=33434, flows=n))
    world.run(chain, errors(world, arrived, EXTERNAL), 1)
    core = [e for e in chain.elements if isinstance(e, Router)][-1]
    near = chain.until(core)
    for frames in (
        datagrams(world, FIXED, EXTERNAL, n, dport=33500, flows=n),
        pings(world, FIXED, EXTERNAL, n, ttl=3),
    ):
        frames.packets["ttl"] = 3
        arrived = world.run(near, frames)
        world.run(near, errors(world, arrived, "100.122.255.254", 11, 0), 1)
    return world.finish("icmp_errors")


def fragmented(seed: int, scale: float) -> Scenario:
    """Large datagrams and pings in fragments through a translation."""
    world = World(seed)
    chain = dvr(world, snat(world))
    n = max(int(100 * scale), 8)
    world.run(chain, fragments(world, datagrams(world, FIXED, EXTERNAL, n, size=(2000, 9000))))
    world.run(chain, fragments(world, pings(world, FIXED, EXTERNAL, n, size=4000)))
    return world.finish("fragments")


def fragments_nat66(seed: int, scale: float) -> Scenario:
    """IPv6 fragments through routers that track connections and give them new ids."""
    world = World(seed)
    nat_at = {0: world.nat(snat="2001:db8:f::7", ports="random"), 4: world.nat(snat="2001:db8::9")}
    chain = line(world, 8, nat_at)
    n = max(int(80 * scale), 8)
    a, b = "2001:db8::10", "2001:db8:1::20"
    world.run(chain, fragments(world, datagrams(world, a, b, n, size=(2000, 6000))))
    return world.finish("fragments_nat66")


def _bridge(world: World) -> tuple[Chain, list[Chain]]:
    branches = [
        Chain(Link(4_000, 1_000), world.point("tapB", "compute03")),
        Chain(Link(4_000, 1_000), world.point("tapC", "compute03")),
        Chain(
            Link(4_000, 1_000), world.point("ens1", "compute03"), Link(WIRE_NS, 10_000),
            world.point("ens1", "compute04"), Link(4_000, 1_000), world.point("tapD", "compute04"),
        ),
    ]  # fmt: skip
    root = world.point("tapA", "compute03")
    return Chain(root, Link(), Flood(tuple(branches))), branches


def arp(seed: int, scale: float) -> Scenario:
    """Who-has broadcasts flooded by a bridge; stations and a proxy answer."""
    world = World(seed)
    flood, branches = _bridge(world)
    tap_a, tap_b = flood.elements[0], branches[0].elements[-1]
    back = Chain(tap_b, Link(), tap_a)
    n = max(int(40 * scale), 5)
    for host in range(6):
        asked = arp_requests(
            world, 0xFA163E000001, "10.0.0.5", f"10.0.0.{10 + host}", n, 90 * MILLI
        )
        asked.meta["true_ns"] += host * 7 * MILLI
        arrived = once(_send(world, flood, asked))
        answered = arp_replies(world, arrived, 0xFA163E0000AA)  # one MAC for all: a proxy
        _send(world, back, answered)
    return world.finish("arp")


# As run, but ARP frames carry their own MACs.
def _send(world: World, chain: Chain, frames: Frames) -> Frames:
    return chain.cross(world, frames.copy(), 0)


def multicast(seed: int, scale: float) -> Scenario:
    """mDNS and DHCP broadcasts flooded by a bridge: one packet, many branches."""
    world = World(seed)
    flood, _ = _bridge(world)
    n = max(int(150 * scale), 8)
    world.run(flood, datagrams(world, "10.0.0.5", "224.0.0.251", n, dport=5353, size=(60, 300)))
    world.run(
        flood, datagrams(world, "10.0.0.5", "255.255.255.255", n, sport=68, dport=67, size=300)
    )
    return world.finish("multicast")


def replicated(seed: int, scale: float) -> Scenario:
    """ARP, mDNS and DHCP for all, which one card sends to three tunnel ends, and pings to one."""
    world = World(seed)
    card = world.point("ens1", "compute03")
    wire = Link(WIRE_NS, 10_000)
    branches = []
    for number in (4, 5, 6):  # one after the other
        host = f"compute0{number}"
        inside: tuple[Element, ...] = (card, wire, OuterRouter(), world.point("ens1", host))
        tunnel = Tunnel(Encap.VXLAN, 77, "10.20.0.3", f"10.20.0.{number}", inside)
        turn = Link((number - 4) * 1_500, 0)
        branches.append(Chain(turn, tunnel, Link(4_000, 1_000), world.point(f"tap{number}", host)))
    root = world.point("tapA", "compute03")
    flood = Chain(root, Link(), Flood(tuple(branches)))
    n = max(int(60 * scale), 6)
    for host in range(3):
        asked = arp_requests(
            world, 0xFA163E000001, "10.0.0.5", f"10.0.0.{10 + host}", n, 90 * MILLI
        )
        asked.meta["true_ns"] += host * 7 * MILLI
        _send(world, flood, asked)
    for to, port, ids in (("224.0.0.251", 5353, "zero"), ("255.255.255.255", 67, "counter")):
        sent = datagrams(world, "10.0.0.5", to, n, dport=port, size=(60, 300), ids=ids)
        sent.packets["src_mac"], sent.packets["dst_mac"] = 0xFA163E000001, (1 << 48) - 1
        _send(world, flood, sent)
    alone = Chain(root, Link(), *branches[0].elements)
    exchange(world, alone, pings(world, "10.0.0.5", "10.0.0.6", n))
    return world.finish("replicated")


def _tunnelled(kind: Encap) -> Callable[[int, float], Scenario]:
    def maker(seed: int, scale: float) -> Scenario:
        world = World(seed)
        wire: tuple[Element, ...] = (
            world.point("ens1", "compute03"), Link(WIRE_NS, 10_000), OuterRouter(),
            world.point("ens1", "compute04"),
        )  # fmt: skip
        chain = Chain(
            world.point("tapA", "compute03"), Link(), world.point("qr-a", "compute03", "qrouter-1"),
            Router(), world.point("qr-b", "compute03", "qrouter-1"), Link(),
            Tunnel(kind, 77, "10.20.0.3", "10.20.0.4", wire), Link(),
            world.point("tapB", "compute04"),
        )  # fmt: skip
        n = max(int(100 * scale), 6)
        exchange(world, chain, pings(world, "10.1.0.5", "10.2.0.6", n))
        exchange(world, chain, datagrams(world, "10.1.0.5", "10.2.0.6", n, flows=n))
        Tcp.open(world, chain, n // 4 + 1, src="10.1.0.5", dst="10.2.0.6").talk(3)
        return world.finish(kind.label)

    maker.__doc__ = f"Routed on one host, then inside {kind.label.upper()} to another."
    return maker


def tenants(seed: int, scale: float) -> Scenario:
    """Two tenants use the same addresses, ports, ping ids and sequence numbers on one host."""
    world = World(seed)
    shared: list[Element] = [
        world.point("fg", "compute03", "fip"), Link(), world.point("nic", "compute03"),
        Link(WIRE_NS, 10_000), Router(), world.point("eth0", "server"),
    ]  # fmt: skip
    n = max(int(100 * scale), 8)
    for tenant in range(2):
        nat = world.nat(snat=f"100.122.0.{145 + tenant}", ports="random", netns=f"qrouter-{tenant}")
        chain = Chain(
            world.point(f"tap{tenant}", "compute03"), Link(),
            world.point(f"qr-{tenant}", "compute03", f"qrouter-{tenant}"), Router(nat),
            world.point(f"rfp-{tenant}", "compute03", f"qrouter-{tenant}"), Link(),
            world.point(f"fpr-{tenant}", "compute03", "fip"), Router(), *shared,
        )  # fmt: skip
        exchange(world, chain, pings(world, FIXED, EXTERNAL, n, icmp_id=99, spread=0.01))
        sent = datagrams(world, FIXED, EXTERNAL, n, sport=5000, ids="zero", size=(60, 900))
        exchange(world, chain, sent)
        tcp = Tcp.open(world, chain, 1, src=FIXED, dst=EXTERNAL)
        tcp.talk(10)
    return world.finish("tenants")


def mixture(seed: int, scale: float) -> Scenario:
    """Pings of many hosts at once, some alike, some not, among other traffic."""
    world = World(seed)
    chain = line(world, 8, {2: world.nat(snat="203.0.113.7", ports="random")})
    n = max(int(30 * scale), 4)
    parts = [
        pings(world, f"10.1.1.{h}", EXTERNAL, n, icmp_id=h % 4, constant=h % 2 == 0,
              ids=("zero", "counter", "random")[h % 3], spread=0.3)
        for h in range(1, 13)
    ]  # fmt: skip
    parts += [datagrams(world, f"10.1.2.{h}", EXTERNAL, n, dport=53, flows=3) for h in range(1, 9)]
    exchange(world, chain, join(parts))
    Tcp.open(world, chain, n, src="10.1.3.1", dst=EXTERNAL, hosts=5).talk(2)
    return world.finish("mixture")


def wrapped_ids(seed: int, scale: float) -> Scenario:
    """More than 65,536 packets of one sender with equal bytes: every IP id comes twice."""
    world = World(seed)
    n = max(int(80_000 * scale), 66_000)
    sent = datagrams(world, FIXED, EXTERNAL, n, dport=9, size=64, constant=True, gap_ns=30_000)
    world.run(line(world, 4, {0: world.nat(snat="203.0.113.7", ports="random")}), sent)
    return world.finish("wrapped_ids")


SCENARIOS = {
    "udp_dns": dns,
    "udp_quic": quic,
    "udp_echoes": udp_echoes,
    "icmp_errors": icmp_errors,
    "fragments": fragmented,
    "fragments_nat66": fragments_nat66,
    "arp": arp,
    "multicast": multicast,
    "replicated": replicated,
    "vxlan": _tunnelled(Encap.VXLAN),
    "geneve": _tunnelled(Encap.GENEVE),
    "gre": _tunnelled(Encap.GRE),
    "tenants": tenants,
    "mixture": mixture,
    "wrapped_ids": wrapped_ids,
}
