"""Shapes of paths: few points, many, in no known order, two ways, other ways back."""

from scenarios.elements import Chain, Link, Router
from scenarios.frames import join
from scenarios.places import EXTERNAL, FIXED, WIRE_NS, dvr, line, snat
from scenarios.scenario import Scenario
from scenarios.traffic import Tcp, answer, datagrams, exchange, once, pings
from scenarios.world import World


def _some(world: World, chain: Chain, n: int, back: Chain | None = None) -> None:
    exchange(world, chain, pings(world, FIXED, EXTERNAL, n), back=back)
    exchange(world, chain, datagrams(world, FIXED, EXTERNAL, n, flows=n), back=back)
    Tcp.open(world, chain, n // 5 + 1, src=FIXED, dst=EXTERNAL, back=back).talk(3)


def two_points(seed: int, scale: float) -> Scenario:
    """One router, captured on both sides."""
    world = World(seed)
    _some(world, line(world, 2), max(int(150 * scale), 8))
    return world.finish("two_points")


def many_points(seed: int, scale: float) -> Scenario:
    """Two hundred points on fifty hosts, two translations on the way."""
    world = World(seed)
    nats = {
        40: world.nat(snat="172.16.5.5", ports="random"),
        120: world.nat(snat="100.64.0.9", ports="random"),
    }
    chain = line(world, 200, nats)
    n = max(int(20 * scale), 4)
    tall = pings(world, FIXED, EXTERNAL, n, ttl=255)
    world.run(chain, tall)
    sent = datagrams(world, FIXED, EXTERNAL, n, flows=n)
    sent.packets["ttl"] = 255
    world.run(chain, sent)
    return world.finish("many_points")


def unknown_order(seed: int, scale: float) -> Scenario:
    """The floating IP's path in files whose names say nothing."""
    world = World(seed)
    _some(world, dvr(world, snat(world)), max(int(120 * scale), 8))
    world.shuffle()
    return world.finish("unknown_order")


def ecmp(seed: int, scale: float) -> Scenario:
    """Flows take one of two ways between the same two ends."""
    world = World(seed)
    first, last = world.point("tap0", "compute03"), world.point("eth0", "server")
    ways = [
        Chain(
            first, Link(), world.point(f"up{i}", "compute03"), Router(),
            world.point(f"spine{i}", f"spine{i}"), Link(WIRE_NS * (i + 1), 10_000), Router(), last,
        )
        for i in range(2)
    ]  # fmt: skip
    for way in ways * 3:
        _some(world, way, max(int(40 * scale), 6))
    return world.finish("ecmp")


def asymmetric(seed: int, scale: float) -> Scenario:
    """Replies come back over another router than requests went out."""
    world = World(seed)
    first, last = world.point("tap0", "compute03"), world.point("eth0", "server")
    out, home = (
        Chain(
            first, Link(), world.point(f"qr{i}", "compute03", f"ns{i}"), Router(),
            world.point(f"rfp{i}", "compute03", f"ns{i}"), Link(WIRE_NS, 10_000), Router(), last,
        )
        for i in range(2)
    )  # fmt: skip
    _some(world, out, max(int(100 * scale), 8), back=home)
    return world.finish("asymmetric")


def bridge_and_port(seed: int, scale: float) -> Scenario:
    """tcpdump ran on the tap, the bridge and the bridge's port at once: equal bytes thrice."""
    world = World(seed)
    chain = Chain(
        world.point("tap0"), Link(900, 300), world.point("qbr0"), Link(900, 300),
        world.point("qvb0"), Link(900, 300), world.point("qvo0"), Link(), Router(snat(world)),
        world.point("eth0", "server"),
    )  # fmt: skip
    _some(world, chain, max(int(100 * scale), 8))
    return world.finish("bridge_and_port")


def unanswered(seed: int, scale: float) -> Scenario:
    """Requests that nobody answers among requests that are answered."""
    world = World(seed)
    chain = dvr(world, snat(world), Link(WIRE_NS, 9_000, loss=0.2))
    n = max(int(150 * scale), 8)
    asked = join([pings(world, FIXED, EXTERNAL, n), datagrams(world, FIXED, EXTERNAL, n, flows=n)])
    arrived = once(world.run(chain, asked))
    heard = arrived.take(world.rng.random(len(arrived)) < 0.5)
    world.run(chain, answer(world, heard), 1)
    return world.finish("unanswered")


SCENARIOS = {
    "two_points": two_points,
    "many_points": many_points,
    "unknown_order": unknown_order,
    "ecmp": ecmp,
    "asymmetric": asymmetric,
    "bridge_and_port": bridge_and_port,
    "unanswered": unanswered,
}
