"""Packets that wait: while a router asks who has the next hop's address, and in long queues."""

from dataclasses import dataclass

import numpy as np

from scenarios.clocks import EPOCH, SECOND
from scenarios.elements import Chain, Link, Router
from scenarios.frames import Frames, join
from scenarios.nat import Nat
from scenarios.scenario import Scenario
from scenarios.traffic import ACK, MILLI, SYN, Tcp, answer, datagrams, once, pings
from scenarios.world import World

# From when until when the neighbour is unknown, and whether it answered in the end.
UNKNOWN = ((0.0, 1.04, True), (20.0, 22.1, True), (40.0, 42.95, True), (60.0, 63.0, False))
A = {4: ("10.1.0.2", "10.3.0.2"), 6: ("2001:db8:1::2", "2001:db8:3::2")}


@dataclass(slots=True)
class Neighbour:
    """Keeps what goes right while it is not known where to, and lets it out at once."""

    def cross(self, world: World, frames: Frames, direction: int) -> Frames:
        """Return what goes on, in order."""
        if direction:
            return frames
        order = np.argsort(frames.meta["true_ns"], kind="stable")
        frames = frames.take(order)
        true = frames.meta["true_ns"]
        given_up = np.zeros(len(frames), bool)
        for start, stop, answered in UNKNOWN:
            since, until = (EPOCH + int(at * SECOND) for at in (start, stop))
            waits = (true >= since) & (true < until)
            # What came later goes out later, in whichever run it came.
            true[waits] = until + (true[waits] - since) // 1_000_000
            given_up |= waits & (not answered)
        world.lose(frames.take(given_up))
        return frames.take(~given_up)


def _chain(world: World, nat: Nat | None) -> Chain:
    return Chain(
        world.point("a0", "a"), Link(), world.point("ra", "r", "r"), Router(nat, loss=0.04),
        Neighbour(), world.point("rq", "r", "r"), Link(), world.point("qr", "q", "q"), Router(),
        world.point("qb", "q", "q"), Link(), world.point("b0", "b"),
    )  # fmt: skip


def _connections(world: World, chain: Chain, flows: int, start: int, stamps: bool) -> None:
    ports = world.rng.choice(np.arange(32768, 61000), flows, replace=False)
    src, dst = ((0xFFFF << 32) + (10 << 24) + (net << 16) + 2 for net in (1, 3))
    tcp = Tcp(
        world, chain, np.full(flows, src, np.uint64), np.full(flows, dst, np.uint64), ports,
        np.full(flows, 443), start + np.arange(flows) * 2 * MILLI, stamps=stamps, rto_ns=SECOND,
    )  # fmt: skip
    everyone = np.arange(flows)
    before = len(world.seen)
    tcp.send(0, everyone, SYN)
    # What waits for a second is sent again, and waits, too.
    sent = world.seen[before][2]
    late = sent.take(np.isin(sent.meta["packet"], [*world.lost], invert=True))
    late = late.take(np.argsort(late.meta["flow"]))
    world.run(chain, tcp._repeat(0, late, np.searchsorted(tcp.flow, late.meta["flow"]), 0))
    tcp.send(1, everyone, SYN | ACK)
    tcp.send(0, everyone, ACK)
    tcp.talk(2)


def _waiting(name: str, scale: float, world: World, nat: Nat | None, v6: bool) -> Scenario:
    chain = _chain(world, nat)
    n = max(int(24 * scale), 6)
    src, dst = A[6 if v6 else 4]
    for start, _, _ in UNKNOWN:
        at = int(start * SECOND)
        if not v6:
            _connections(world, chain, n, at, world.rng.random() < 0.5)
        parts = [
            pings(world, src, dst, 8, gap_ns=SECOND // 2, start_ns=at + k * 7 * MILLI,
                  constant=k % 2 == 0)
            for k in range(n // 3)
        ]  # fmt: skip
        parts.append(datagrams(world, src, dst, n, flows=n, start_ns=at))
        asked = join(parts)
        # A question is asked again after a second, with the same bytes and no number.
        world.run(chain, answer(world, once(world.run(chain, asked)), service_ns=900_000), 1)
        for k in range(n // 3):
            begin = at - SECOND + k * 5 * MILLI
            again = datagrams(world, src, dst, 5, gap_ns=SECOND, start_ns=begin, size=30 + k,
                              constant=True, ids="zero")  # fmt: skip
            world.run(chain, again)
        more = datagrams(world, src, dst, 8 * n, flows=n, start_ns=at + 5 * SECOND)
        world.run(chain, answer(world, once(world.run(chain, more))), 1)
    return world.finish(name)


def waits(seed: int, scale: float) -> Scenario:
    """Pings, datagrams, questions asked again and connections, the first of which wait."""
    return _waiting("neighbour_waits", scale, World(seed), None, v6=False)


def waits_nat(seed: int, scale: float) -> Scenario:
    """The same through a NAT with random ports."""
    world = World(seed)
    nat = world.nat(snat="10.2.0.1", ports="random")
    return _waiting("neighbour_waits_nat", scale, world, nat, v6=False)


def waits6(seed: int, scale: float) -> Scenario:
    """Pings and datagrams of IPv6."""
    return _waiting("neighbour_waits6", scale, World(seed), None, v6=True)


@dataclass(slots=True)
class Queue:
    """Fills up: what goes right waits the longer the later it comes, up to `most_ns`."""

    most_ns: int
    for_ns: int  # until it is full

    def cross(self, world: World, frames: Frames, direction: int) -> Frames:
        """Return the frames, later and in order."""
        if direction == 0:
            true = frames.meta["true_ns"]
            true += np.minimum(self.most_ns, (true - EPOCH) * self.most_ns // self.for_ns)
        return frames


def _queued(name: str, scale: float, world: World, ids: str) -> Scenario:
    # An upload that fills the queue of its uplink, on which nothing is lost.
    chain = Chain(
        world.point("a0", "a"), Link(), world.point("ra", "r", "r"), Router(world.nat(
            snat="10.2.0.1", ports="random")),
        Queue(SECOND, 8 * SECOND), world.point("rb", "r", "r"), Link(4 * MILLI, MILLI // 4),
        world.point("b0", "b"),
    )  # fmt: skip
    src, dst = A[4]
    n = max(int(400 * scale), 40)
    gap_ns = 9 * SECOND // n
    asked = datagrams(world, src, dst, n, flows=8, gap_ns=gap_ns, ids="counter", size=(60, 1200))
    world.run(chain, asked)
    tcp = Tcp.open(world, chain, 6, src=src, dst=dst, ids=(ids, ids), stamps=ids != "zero")
    everyone = np.arange(6)
    tcp.now += 4 * SECOND
    for _ in range(max(n // 40, 4)):
        tcp.now += 4 * MILLI
        tcp.send(0, everyone, ACK, 1200, burst=4, gap_ns=3 * MILLI)
        tcp.send(1, everyone, ACK)
    return world.finish(name)


def queue(seed: int, scale: float) -> Scenario:
    """Datagrams and TCP that wait up to a second; all have IP ids."""
    return _queued("queue_fills", scale, World(seed), "counter")


def queue_without_ids(seed: int, scale: float) -> Scenario:
    """The same with TCP that has neither IP ids nor time stamps."""
    return _queued("queue_fills_id_zero", scale, World(seed), "zero")


SCENARIOS = {
    "neighbour_waits": waits,
    "neighbour_waits_nat": waits_nat,
    "neighbour_waits6": waits6,
    "queue_fills": queue,
    "queue_fills_id_zero": queue_without_ids,
}
