"""Datagrams that are cut, put together and cut anew on their way."""

from scenarios.cutting import Cut, Together
from scenarios.elements import Chain, Link, Router
from scenarios.frames import join
from scenarios.nat import Nat
from scenarios.places import EXTERNAL, FIXED, line
from scenarios.scenario import Scenario
from scenarios.special import fragments
from scenarios.traffic import MILLI, answer, datagrams, pings
from scenarios.world import World

A, B = "2001:db8::10", "2001:db8:1::20"


def _way(world: World, nat: Nat | None = None, loss: float = 0.0) -> Chain:
    # A bridge that shows whole datagrams, a router that cuts them as its link asks, one with a
    # smaller link, a firewall that puts them together once more, and the host that receives them.
    point = world.point
    return Chain(
        point("eth0", "sender"), Link(60_000, 8_000, loss),
        point("ens1", "gateway"), Link(2_000, 500), Together(), point("br0", "gateway"),
        Router(nat), Cut(1480),
        point("ens2", "gateway"), Link(60_000, 8_000, loss),
        point("eth0", "edge"), Router(), Cut(1376), point("eth1", "edge"),
        Link(60_000, 8_000, loss),
        point("wan", "firewall"), Together(), Router(), Cut(1480), point("lan", "firewall"),
        Link(60_000, 8_000, loss),
        point("eth0", "server"), Together(), Link(3_000, 500), point("input", "server"),
    )  # fmt: skip


def recut(seed: int, scale: float) -> Scenario:
    """Fragments put together and cut to other sizes on the way, IPv4 and IPv6, with losses."""
    world = World(seed)
    chain = _way(world, loss=0.01)
    n = max(int(100 * scale), 8)
    for src, dst in ((FIXED, EXTERNAL), (A, B)):
        sent = join([
            datagrams(world, src, dst, n, size=(2000, 9000), flows=5),
            datagrams(world, src, dst, n, size=(20, 1400), flows=5),
            pings(world, src, dst, n, size=4000),
        ])  # fmt: skip
        world.run(chain, Cut(1424).cross(world, sent, 0))
    return world.finish("fragments_recut")


def recut_nat(seed: int, scale: float) -> Scenario:
    """The same through a masquerade: only first fragments have ports. Nobody answers."""
    world = World(seed)
    nat = world.nat(snat="203.0.113.7", ports="random", host="gateway")
    chain = _way(world, nat, loss=0.01)
    n = max(int(150 * scale), 8)
    for host in range(3):
        sent = datagrams(
            world, f"10.1.0.{5 + host}", EXTERNAL, n, size=(1300, 9000), flows=n // 4 + 1
        )
        world.run(chain, Cut(1424).cross(world, sent, 0))
    return world.finish("fragments_recut_nat")


def recut_fast(seed: int, scale: float) -> Scenario:
    """Datagrams with equal bytes, many on their way at once: IP ids tell them apart."""
    world = World(seed)
    n = max(int(200 * scale), 8)
    sent = datagrams(world, FIXED, EXTERNAL, n, size=5000, constant=True, gap_ns=MILLI // 10)
    world.run(_way(world), Cut(1424).cross(world, sent, 0))
    return world.finish("fragments_recut_fast")


def nat_of_both(seed: int, scale: float) -> Scenario:
    """Both addresses rewritten (hairpin), for several hosts: later fragments keep nothing but ids.

    A capture before it has nothing of their bytes.
    """
    world = World(seed)
    nat = world.nat(snat="10.1.0.1", dnat="10.1.0.80", ports="random")
    chain = line(world, 6, {2: nat})
    world.captures[1].snaplen = 64
    n = max(int(60 * scale), 8)
    for host in range(4):
        asked = datagrams(
            world, f"10.1.0.{5 + host}", "203.0.113.7", n, size=(2000, 9000), flows=n // 4 + 1
        )
        world.run(chain, fragments(world, asked))
    return world.finish("fragments_nat_of_both")


def echoed6(seed: int, scale: float) -> Scenario:
    """Large IPv6 pings and their answers, of equal bytes, over a router that tracks connections."""
    world = World(seed)
    chain = Chain(
        world.point("eth0", "sender"), Link(60_000, 8_000), world.point("lan", "gateway"),
        Router(world.nat()),
        world.point("wan", "gateway"), Link(60_000, 8_000), world.point("eth0", "server"),
    )  # fmt: skip
    n = max(int(60 * scale), 8)
    for host in range(4):
        asked = pings(world, f"2001:db8::{10 + host}", B, n, size=4000, gap_ns=50 * MILLI)
        replies = answer(world, asked)
        replies.meta["true_ns"] += 150_000
        world.run(chain, fragments(world, asked))
        pieces = fragments(world, replies)
        pieces.packets["ip_id"] ^= 0x5A5A5A5A  # the server counts for itself
        world.run(chain, pieces, 1)
    return world.finish("fragments_echoed6")


SCENARIOS = {
    "fragments_recut": recut,
    "fragments_recut_nat": recut_nat,
    "fragments_recut_fast": recut_fast,
    "fragments_nat_of_both": nat_of_both,
    "fragments_echoed6": echoed6,
}
