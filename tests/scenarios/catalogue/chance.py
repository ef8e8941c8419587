"""Networks put together by chance: what nobody thought of when writing the correlator."""

from collections.abc import Callable

import numpy as np

from scenarios.clocks import SECOND, Clock
from scenarios.elements import Chain, Element, Link, Router
from scenarios.frames import join
from scenarios.nat import Nat
from scenarios.places import EXTERNAL, ends
from scenarios.scenario import Scenario
from scenarios.special import fragments
from scenarios.traffic import MILLI, Tcp, answer, datagrams, once, pings
from scenarios.world import World


def network(world: World) -> Chain:
    """Return a path of two to twelve devices on one to five hosts with up to three NATs."""
    rng = world.rng
    count, host, nats = int(rng.integers(2, 13)), 0, 0
    elements: list[Element] = []
    for i in range(count):
        elements.append(world.point(f"dev{i}", f"host{host}", f"ns{i // 2}"))
        if i == count - 1:
            break
        choice = rng.random()
        if choice < 0.5:
            translating = nats < 3 and rng.random() < 0.5
            nats += translating
            elements.append(Router(_nat(world, nats) if translating else None))
        elif choice < 0.75:
            elements.append(Link(int(rng.integers(800, 20_000)), int(rng.integers(100, 4_000))))
        else:
            host += rng.random() < 0.8
            elements.append(_wire(rng))
    return Chain(*elements)


def _nat(world: World, number: int) -> Nat:
    ports = str(world.rng.choice(["keep", "random"]))
    if world.rng.random() < 0.25:
        return world.nat(dnat=f"10.250.{number}.7", dnat_port=8000 + number)
    return world.nat(snat=f"198.18.{number}.1", ports=ports)


def _wire(rng: np.random.Generator) -> Link:
    return Link(
        int(rng.integers(20_000, 2_000_000)), int(rng.integers(1_000, 60_000)),
        loss=float(rng.choice([0, 0, 0.01, 0.05])), reorder=float(rng.choice([0, 0, 0.03])),
        back_ns=int(rng.choice([0, 0, 100_000])),
    )  # fmt: skip


def _traffic(world: World, chain: Chain, scale: float) -> None:
    rng = world.rng
    n = max(int(40 * scale), 6)
    asked = []
    for host in range(int(rng.integers(1, 6))):
        src, ids = f"10.1.0.{10 + host}", str(rng.choice(["counter", "zero", "random"]))
        gap = int(rng.choice([2, 10, 200])) * MILLI
        asked.append(pings(world, src, EXTERNAL, n, gap_ns=gap, ids=ids, icmp_id=host % 3 + 1,
                           constant=bool(rng.random() < 0.3)))  # fmt: skip
        asked.append(datagrams(world, src, EXTERNAL, n, gap_ns=gap, ids=ids, flows=4))
    arrived = once(world.run(chain, join(asked)))
    world.run(chain, answer(world, arrived), 1)
    big = datagrams(world, "10.1.0.9", EXTERNAL, n // 2, size=(2000, 5000), dport=2049)
    world.run(chain, fragments(world, big))
    tcp = Tcp.open(world, chain, n // 3, src="10.1.0.200", dst=EXTERNAL, hosts=3,
                   ids=("counter", str(rng.choice(["counter", "zero"]))),
                   stamps=bool(rng.random() < 0.6))  # fmt: skip
    tcp.talk(3, burst=3)
    tcp.close()


def chance(seed: int, scale: float, copies: float = 0.5) -> Scenario:
    """A path, its NATs, clocks, traffic and captures by chance."""
    first = np.random.default_rng(seed)
    world = World(seed, told=bool(first.random() < 0.7))
    chain = network(world)
    rng = world.rng
    for name in list(world.clocks)[1:]:
        world.clocks[name] = Clock(
            int(rng.integers(-5 * SECOND, 5 * SECOND)), float(rng.uniform(-50, 50)),
            noise_ns=int(rng.choice([0, 1_000, 4_000])),
        )  # fmt: skip
    _traffic(world, chain, scale)
    for tap in ends(chain):
        capture = world.captures[tap.point]
        capture.missed = float(rng.choice([0, 0, 0, 0.01]))
        capture.copies = float(rng.choice([0, 0, 0, copies]))
        capture.snaplen = int(rng.choice([262144, 262144, 262144, 96]))
    if rng.random() < 0.3:
        world.shuffle()
    return world.finish("chance", conntrack=bool(rng.random() < 0.3))


def _maker(number: int) -> Callable[[int, float], Scenario]:
    return lambda seed, scale: chance(100 * seed + number, scale)


SCENARIOS = {f"chance_{number}": _maker(number) for number in range(8)}
