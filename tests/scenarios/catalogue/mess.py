"""Loss, duplicates, reordering, and captures with holes."""

from scenarios.clocks import EPOCH, SECOND, Clock
from scenarios.elements import Chain, Link
from scenarios.places import EXTERNAL, FIXED, WIRE_NS, dvr, ends, snat
from scenarios.scenario import Scenario
from scenarios.traffic import MILLI, Tcp, datagrams, exchange, pings
from scenarios.world import World


def traffic(world: World, scale: float, wire: Link | None = None) -> Chain:
    """Send the usual mix over the usual path, and return that."""
    chain = dvr(world, snat(world), wire)
    n = max(int(120 * scale), 6)
    exchange(world, chain, pings(world, FIXED, EXTERNAL, n))
    exchange(world, chain, datagrams(world, FIXED, EXTERNAL, 2 * n, flows=n))
    tcp = Tcp.open(world, chain, n // 4 + 1, src=FIXED, dst=EXTERNAL)
    tcp.talk(3, burst=3)
    tcp.close()
    return chain


def loss(seed: int, scale: float) -> Scenario:
    """Five of a hundred packets are lost on the wire, and TCP sends them again."""
    world = World(seed)
    traffic(world, scale, Link(WIRE_NS, 20_000, loss=0.05))
    return world.finish("loss")


def reordering(seed: int, scale: float) -> Scenario:
    """A tenth of the packets overtake each other on the wire."""
    world = World(seed)
    traffic(world, scale, Link(WIRE_NS, 60_000, reorder=0.1))
    return world.finish("reordering")


def span_duplicates(seed: int, scale: float) -> Scenario:
    """Two points show many packets twice, as SPAN ports and `any` do."""
    world = World(seed)
    traffic(world, scale)
    world.captures[4].copies, world.captures[5].copies = 1.0, 0.4
    return world.finish("span_duplicates")


def capture_holes(seed: int, scale: float) -> Scenario:
    """Captures start late, stop early, have gaps and miss packets at random."""
    world = World(seed)
    traffic(world, scale)
    world.captures[1].start_ns = EPOCH + 120 * MILLI
    world.captures[3].stop_ns = EPOCH + 400 * MILLI
    world.captures[5].gaps = ((EPOCH + 100 * MILLI, EPOCH + 160 * MILLI),)
    world.captures[6].missed = 0.03
    return world.finish("capture_holes")


def snaplens(seed: int, scale: float) -> Scenario:
    """Every capture cuts its packets elsewhere."""
    world = World(seed)
    traffic(world, scale)
    for number, size in enumerate((262144, 96, 128, 80, 66, 256, 1000, 64)):
        world.captures[number].snaplen = size
    return world.finish("snaplens")


def everything(seed: int, scale: float) -> Scenario:
    """Loss, reordering, duplicates, missed packets, snaplens and three clocks, all at once."""
    world = World(seed)
    world.clocks.update(gateway=Clock(-2 * SECOND, 25.0), server=Clock(SECOND // 7, -40.0))
    traffic(world, scale, Link(WIRE_NS, 40_000, loss=0.03, reorder=0.05, copies=0.01))
    for number, capture in world.captures.items():
        capture.missed = 0.02
        capture.copies = 0.3 if number == 4 else 0.0
        capture.snaplen = (262144, 128, 262144, 96, 262144, 262144, 80, 262144)[number]
    return world.finish("everything")


def nat_ends_only(seed: int, scale: float) -> Scenario:
    """Of the floating IP's path only the two ends were captured, by hosts whose clocks differ."""
    world = World(seed)
    world.clocks.update(server=Clock(4 * SECOND, 12.0))
    traffic(world, scale)
    for number, capture in world.captures.items():
        capture.off = number not in (0, 7)
    return world.finish("nat_ends_only")


def unrelated(seed: int, scale: float) -> Scenario:
    """Each point sees other traffic too, which no other point sees."""
    world = World(seed)
    taps = ends(traffic(world, scale))
    n = max(int(80 * scale), 6)
    for i, tap in enumerate(taps):
        alone = Chain(tap)
        world.run(alone, pings(world, f"10.77.{i}.1", "10.77.0.200", n))
        world.run(alone, datagrams(world, f"10.77.{i}.2", "10.77.0.201", n, flows=5))
    return world.finish("unrelated")


SCENARIOS = {
    "loss": loss,
    "reordering": reordering,
    "span_duplicates": span_duplicates,
    "capture_holes": capture_holes,
    "snaplens": snaplens,
    "everything": everything,
    "nat_ends_only": nat_ends_only,
    "unrelated": unrelated,
}
