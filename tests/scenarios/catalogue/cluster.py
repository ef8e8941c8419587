"""Clusters: pods, bridges, services, an overlay. Most hosts were captured on `any`, a file each."""

from collections.abc import Callable

from scenarios.any_capture import AT_ONCE, Everything, Translating
from scenarios.bridging import TakenUp, bridged_at
from scenarios.elements import Chain, Element, Link, Router, Tunnel
from scenarios.nat import Nat
from scenarios.places import WIRE_NS
from scenarios.scenario import Scenario
from scenarios.special import errors, fragments
from scenarios.traffic import Tcp, answer, datagrams, exchange, pings
from scenarios.world import World
from tracer.core.enums import Encap

POD, SERVICE, BACKEND, OUTSIDE = "10.244.1.11", "10.96.0.10", "10.244.2.11", "198.51.100.9"
NODES = ("10.0.0.1", "10.0.0.2")
VXLAN = 3_000


def _files(world: World, told: bool) -> Callable[[str], Everything]:
    found: dict[str, Everything] = {}
    return lambda host: found.setdefault(host, Everything(world, host, told))


def _node(of: Everything, side: int, nat: Nat | None) -> list[Element]:
    # From the pod's port over the bridge to routing, or the other way round.
    port, bridge = of.device(side), of.device(side)
    between: list[Element] = [AT_ONCE] if nat is None else [AT_ONCE, Translating(nat)]
    parts = [port, *between, bridge]
    return parts if side == 0 else parts[::-1]


def _overlay(world: World, told: bool, nat: Nat, loss: float = 0.0) -> Chain:
    # A pod, its node, the other node, a pod there.
    of = _files(world, told)
    far = of("node2")
    inside = (of("node1").device(1), Link(WIRE_NS, 20_000), far.device(0))
    return Chain(
        of("pod1").device(1), Link(4_000, 500),
        *_node(of("node1"), 0, nat), Router(loss=loss), of("node1").device(1), Link(VXLAN, 400),
        Tunnel(Encap.VXLAN, 1, *NODES, inside),
        AT_ONCE, far.device(0), Router(loss=loss), *_node(far, 1, None),
        Link(4_000, 500), of("pod2").device(0),
    )  # fmt: skip


def _traffic(world: World, chain: Chain, n: int, dst: str = SERVICE) -> None:
    exchange(world, chain, pings(world, POD, dst, n))
    exchange(world, chain, datagrams(world, POD, dst, n, flows=n, dport=53))
    Tcp.open(world, chain, n // 5 + 1, src=POD, dst=dst).talk(3)


def _service(seed: int, scale: float, told: bool, loss: float = 0.0) -> World:
    world = World(seed)
    nat = world.nat(dnat=BACKEND, host="node1")
    _traffic(world, _overlay(world, told, nat, loss), max(int(100 * scale), 10))
    return world


def any_service(seed: int, scale: float) -> Scenario:
    """A service in another node's pod, each host captured on `any` without names of devices."""
    return _service(seed, scale, False).finish("any_service")


def any_service_named(seed: int, scale: float) -> Scenario:
    """The same in the newer format, which tells devices apart."""
    return _service(seed, scale, True).finish("any_service_named")


def any_service_dumped(seed: int, scale: float) -> Scenario:
    """The same without names of devices, with a conntrack dump of the client's node."""
    return _service(seed, scale, False).finish("any_service_dumped", conntrack=True)


def any_loss(seed: int, scale: float) -> Scenario:
    """The same without names of devices, where both nodes drop some packets."""
    return _service(seed, scale, False, 0.03).finish("any_loss")


def _hairpin(seed: int, scale: float, told: bool) -> World:
    world = World(seed)
    of, n = _files(world, told), max(int(100 * scale), 10)
    pod, node = of("pod1"), of("node1")
    out, port = pod.device(1), node.device(0)
    nat = world.nat(snat="10.244.1.1", dnat=POD, ports="random", host="node1")
    back = node.device(1, port.mac)
    back.point, back.out = port.point, port.out
    home = pod.device(0, out.mac)
    home.point, home.out = out.point, out.out
    chain = Chain(out, Link(4_000, 500), port, Translating(nat), back, Link(4_000, 500), home)
    exchange(world, chain, datagrams(world, POD, SERVICE, n, flows=n, dport=53))
    Tcp.open(world, chain, n // 5 + 1, src=POD, dst=SERVICE).talk(3)
    return world


def any_hairpin(seed: int, scale: float) -> Scenario:
    """A service that is the asking pod itself: the bridge sends packets back where they came."""
    return _hairpin(seed, scale, False).finish("any_hairpin")


def any_hairpin_named(seed: int, scale: float) -> Scenario:
    """The same where devices are told apart: the port shows a packet twice with one TTL."""
    return _hairpin(seed, scale, True).finish("any_hairpin_named")


def any_masquerade(seed: int, scale: float) -> Scenario:
    """Pods on two nodes to the outside, masqueraded there and by a gateway, all without names."""
    world = World(seed)
    of, n = _files(world, False), max(int(60 * scale), 10)
    out = world.nat(snat="203.0.113.5", ports="random", host="gateway")
    gateway, wan = of("gateway").device(0), of("gateway").device(1)
    server = of("server").device(0)
    for i, node in enumerate(NODES, 1):
        mask = world.nat(snat=node, ports="random", host=f"node{i}")
        chain = Chain(
            of(f"pod{i}").device(1), Link(4_000, 500), *_node(of(f"node{i}"), 0, None),
            Router(mask), of(f"node{i}").device(1), Link(WIRE_NS, 20_000),
            gateway, Router(out), wan, Link(WIRE_NS, 20_000), server,
        )  # fmt: skip
        _traffic(world, chain, n, OUTSIDE)
    return world.finish("any_masquerade")


def _out(world: World, nat: Nat, bridge: Nat | None = None) -> Chain:
    # A pod, its node that masquerades, a server.
    of = _files(world, False)
    return Chain(
        of("pod1").device(1), Link(4_000, 500), *_node(of("node1"), 0, bridge),
        Router(nat), of("node1").device(1), Link(WIRE_NS, 20_000), of("server").device(0),
    )  # fmt: skip


def any_errors(seed: int, scale: float) -> Scenario:
    """Errors about datagrams to closed ports, back through a node that translates twice."""
    world = World(seed)
    mask = world.nat(snat=NODES[0], ports="random", host="node1")
    chain = _out(world, mask, world.nat(dnat=OUTSIDE, host="node1"))
    n = max(int(100 * scale), 10)
    arrived = world.run(chain, datagrams(world, POD, SERVICE, n, dport=33434, flows=n))
    world.run(chain, errors(world, arrived, OUTSIDE), 1)
    return world.finish("any_errors")


def any_ipv6(seed: int, scale: float) -> Scenario:
    """IPv6, which has no ids: pings, datagrams, and fragments that the node cuts anew."""
    world = World(seed)
    inside, service, outside = "fd00:1::11", "fd00:96::a", "2001:db8:1::20"
    mask = world.nat(snat="2001:db8:f::7", ports="random", host="node1")
    chain = _out(world, mask, world.nat(dnat=outside, host="node1"))
    n = max(int(80 * scale), 10)
    exchange(world, chain, pings(world, inside, service, n))
    exchange(world, chain, datagrams(world, inside, service, n, flows=n, dport=53))
    world.run(chain, fragments(world, datagrams(world, inside, service, n, size=(2000, 6000))))
    return world.finish("any_ipv6")


def any_equal_id0(seed: int, scale: float) -> Scenario:
    """Heartbeats of equal bytes and IP id 0 in bursts: nothing tells them apart."""
    world = World(seed)
    chain = _out(world, world.nat(snat=NODES[0], ports="random", host="node1"))
    n = max(int(150 * scale), 12)
    sent = datagrams(
        world, POD, OUTSIDE, n, gap_ns=60_000, size=32, constant=True, ids="zero", flows=4
    )
    exchange(world, chain, sent, ids="zero")
    return world.finish("any_equal_id0")


def any_equal(seed: int, scale: float) -> Scenario:
    """Heartbeats of equal bytes without IP ids, half a second apart: time tells them apart."""
    world = World(seed)
    nat = world.nat(dnat=BACKEND, host="node1")
    n = max(int(100 * scale), 10)
    sent = datagrams(world, POD, SERVICE, n, gap_ns=500_000_000, size=32, constant=True, ids="zero")
    exchange(world, _overlay(world, False, nat), sent, ids="zero")
    return world.finish("any_equal")


def any_device(seed: int, scale: float) -> Scenario:
    """A capture on `any` beside captures of single devices: the tap, the bridge, the NIC."""
    world = World(seed)
    every = Everything(world, "compute03", False)
    nat = world.nat(snat="100.122.0.145", ports="random", host="compute03", netns="qrouter")
    tap, bridge, nic = every.device(0), every.device(0), every.device(1)
    chain = Chain(
        tap, AT_ONCE, bridge, Link(),
        world.point("qr", "compute03", "qrouter"), Router(nat),
        world.point("rfp", "compute03", "qrouter"), Link(),
        world.point("fpr", "compute03", "fip"), Router(),
        world.point("fg", "compute03", "fip"), Link(), nic, Link(WIRE_NS, 9_000), Router(),
        world.point("eth0", "server"),
    )  # fmt: skip
    n = max(int(100 * scale), 8)
    _traffic(world, chain, n, "100.121.0.75")
    return world.finish("any_device")


def bridged(world: World, lost: tuple[float, float] = (0.0, 0.0)) -> Chain:
    """Return the way from a pod to another on one bridge, which a capture makes promiscuous."""
    one, other = world.point("eth0", "pod1"), world.point("eth0", "pod2")
    ports = [world.point(name, "node1") for name in ("veth1", "cni0", "veth2")]
    taken_up = TakenUp(
        ports[0], ports[2], ports[1], world.nat(dnat=BACKEND, host="node1"),
        world.nat(snat="10.244.1.1", ports="random", host="node1"), (one.mac, other.mac), lost,
    )  # fmt: skip
    chain = Chain(one, Link(4_000, 500), taken_up, Link(9_000, 4_000), other)
    chain.entry = [(one.mac, ports[1].mac), (other.mac, ports[1].mac)]
    return chain


def bridged_and_routed(seed: int, scale: float) -> Scenario:
    """A promiscuous bridge with filter rules sends two copies: one bridged, one routed as well."""
    world = World(seed)
    chain, n = bridged(world), max(int(100 * scale), 10)
    for sent in (
        datagrams(world, POD, SERVICE, n, flows=n, dport=53),
        datagrams(world, POD, SERVICE, n, flows=3, dport=53),
        pings(world, POD, SERVICE, n),
    ):
        asked = bridged_at(world.run(chain, sent), 64)
        world.run(chain, answer(world, asked), 1)
    return world.finish("bridged_and_routed")


SCENARIOS = {
    "bridged_and_routed": bridged_and_routed,
    "any_device": any_device,
    "any_service": any_service,
    "any_service_named": any_service_named,
    "any_service_dumped": any_service_dumped,
    "any_loss": any_loss,
    "any_hairpin": any_hairpin,
    "any_hairpin_named": any_hairpin_named,
    "any_masquerade": any_masquerade,
    "any_errors": any_errors,
    "any_ipv6": any_ipv6,
    "any_equal": any_equal,
    "any_equal_id0": any_equal_id0,
}
