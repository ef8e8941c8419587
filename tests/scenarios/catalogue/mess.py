"""Loss, duplicates, reordering, and captures with holes."""

from scenarios.clocks import EPOCH
from scenarios.elements import Link
from scenarios.places import EXTERNAL, FIXED, WIRE_NS, dvr, snat
from scenarios.scenario import Scenario
from scenarios.traffic import MILLI, Tcp, datagrams, exchange, pings
from scenarios.world import World


def traffic(world: World, scale: float, wire: Link | None = None) -> None:
    """Send the usual mix over the usual path."""
    chain = dvr(world, snat(world), wire)
    n = max(int(120 * scale), 6)
    exchange(world, chain, pings(world, FIXED, EXTERNAL, n))
    exchange(world, chain, datagrams(world, FIXED, EXTERNAL, 2 * n, flows=n))
    tcp = Tcp.open(world, chain, n // 4 + 1, src=FIXED, dst=EXTERNAL)
    tcp.talk(3, burst=3)
    tcp.close()


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


SCENARIOS = {
    "loss": loss,
    "reordering": reordering,
    "span_duplicates": span_duplicates,
    "capture_holes": capture_holes,
    "snaplens": snaplens,
}
