"""Adverse networks by chance: everything that tells packets apart is scarce, all at once.

Equal payloads, ids of zero, hosts in step, several translations, offload, a tunnel, loss, copies,
captures that miss, stop or are not there, and clocks that nobody set.
"""

from collections.abc import Callable

import numpy as np

from scenarios.catalogue.chance import network
from scenarios.clocks import EPOCH, SECOND, Clock
from scenarios.elements import Chain, Element, Link, Offload, Tap, Tunnel
from scenarios.frames import Frames, join
from scenarios.places import EXTERNAL, ends
from scenarios.scenario import Scenario
from scenarios.traffic import MILLI, Tcp, answer, datagrams, exchange, once, pings
from scenarios.world import World
from tracer.core.enums import Encap


def _path(world: World) -> Chain:
    # Between two devices in the middle there may be a tunnel, or a wire that TCP is cut up for.
    elements = list(network(world).elements)
    taps = [i for i, element in enumerate(elements) if isinstance(element, Tap)]
    choice = world.rng.random()
    if choice < 0.3 and len(taps) > 3:
        at = taps[len(taps) // 2] + 1
        elements[at:at] = _wire(world) if choice < 0.15 else [_tunnel(world)]
    return Chain(*elements)


def _wire(world: World) -> list[Element]:
    limit = int(world.rng.choice([4, 64]))
    return [Offload(), Link(), world.point("wire", "switch"), Link(),
            Offload(reverse=True, limit=limit)]  # fmt: skip


def _tunnel(world: World) -> Tunnel:
    inside: tuple[Element, ...] = (
        world.point("under0", "under0"), Link(90_000, 9_000), world.point("under1", "under1"),
    )  # fmt: skip
    kind = (Encap.VXLAN, Encap.GENEVE, Encap.GRE)[int(world.rng.integers(3))]
    return Tunnel(kind, int(world.rng.integers(1, 1 << 20)), "10.20.0.3", "10.20.0.4", inside)


def _alike(world: World, n: int) -> list[Frames]:
    # Hosts that ping and send heartbeats: each with bytes, ids and a rhythm of its own, or not.
    rng, parts = world.rng, list[Frames]()
    constant, ids = bool(rng.random() < 0.5), str(rng.choice(["zero", "zero", "counter", "random"]))
    gap = int(rng.choice([1, 10, 100, 1000])) * MILLI
    step = int(rng.choice([0, gap // 7, 3 * MILLI]))
    for host in range(int(rng.integers(2, 7))):
        src, start = f"10.1.0.{10 + host}", host * step
        number = 7 if rng.random() < 0.5 else None
        parts.append(pings(world, src, EXTERNAL, n, gap_ns=gap, start_ns=start, icmp_id=number,
                           constant=constant, ids=ids, spread=0.01))  # fmt: skip
        parts.append(datagrams(world, src, EXTERNAL, n, gap_ns=gap, start_ns=start, ids=ids,
                               constant=constant, size=int(rng.choice([16, 48, 700])),
                               sport=5060 if rng.random() < 0.5 else None))  # fmt: skip
    return parts


def _captures(world: World, chain: Chain) -> None:
    rng, span = world.rng, SECOND
    taps = ends(chain)
    for tap in taps:
        capture = world.captures[tap.point]
        capture.missed = float(rng.choice([0, 0, 0, 0.01, 0.05]))
        capture.copies = float(rng.choice([0, 0, 0, 0.3, 1.0]))
        capture.snaplen = int(rng.choice([262144, 262144, 200, 96]))
        if rng.random() < 0.1:
            capture.start_ns = EPOCH + int(rng.integers(0, span // 4))
        if rng.random() < 0.1:
            capture.stop_ns = EPOCH + int(rng.integers(span // 4, span))
    kept = rng.permutation(len(taps))[: max(2, int(len(taps) * rng.uniform(0.5, 1)))]
    for i, tap in enumerate(taps):
        world.captures[tap.point].off = i not in kept


def adverse(seed: int, scale: float) -> Scenario:
    """A path, its traffic and captures by chance, with little that tells packets apart."""
    first = np.random.default_rng(seed)
    world = World(seed, told=bool(first.random() < 0.8))
    chain = _path(world)
    rng = world.rng
    for name in list(world.clocks)[1:]:
        offset = int(rng.integers(-5 * SECOND, 5 * SECOND)) if rng.random() < 0.7 else 0
        world.clocks[name] = Clock(offset, float(rng.uniform(-50, 50)) if offset else 0.0,
                                   noise_ns=int(rng.choice([0, 1_000, 4_000])))  # fmt: skip
    n = max(int(40 * scale), 6)
    arrived = once(world.run(chain, join(_alike(world, n))))
    world.run(chain, answer(world, arrived, ids=str(rng.choice(["zero", "counter"]))), 1)
    asked = datagrams(world, "10.1.0.77", EXTERNAL, 2 * n, dport=53, size=(28, 70), flows=n,
                      gap_ns=4 * MILLI)  # fmt: skip
    exchange(world, chain, asked)
    tcp = Tcp.open(world, chain, n // 4 + 1, src="10.1.0.200", dst=EXTERNAL, hosts=3,
                   ids=(str(rng.choice(["counter", "zero"])), str(rng.choice(["counter", "zero"]))),
                   stamps=bool(rng.random() < 0.6), same_id=bool(rng.random() < 0.5))  # fmt: skip
    tcp.talk(2, int(rng.choice([300, 1448, 1448 * 6])), burst=3)
    tcp.close()
    _captures(world, chain)
    return world.finish("adverse", conntrack=bool(rng.random() < 0.25))


def _maker(number: int) -> Callable[[int, float], Scenario]:
    return lambda seed, scale: adverse(100 * seed + number, scale)


SCENARIOS = {f"adverse_{number}": _maker(number) for number in range(8)}
