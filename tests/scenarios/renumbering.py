"""What shifts the numbers of TCP on its way: firewalls that choose them anew, and SYN proxies."""

from copy import copy
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from scenarios.elements import Chain, Element, Link, Router
from scenarios.frames import Frames
from scenarios.nat import Nat
from scenarios.traffic import ACK, SYN, Tcp
from scenarios.world import World

MASK = 0xFFFFFFFF


@dataclass(slots=True)
class Shift:
    """Constants of each flow, (flows, 4): client's and server's numbers, and their time stamps.

    `both`: whether the client's numbers are shifted too, `stamps`: whether stamps are.
    """

    rng: np.random.Generator
    both: bool = True
    stamps: bool = False
    table: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 4), np.int64))

    def of(self, flow: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the constants of each of the flows given."""
        missing = int(flow.max(initial=-1)) + 1 - len(self.table)
        if missing > 0:
            more = self.rng.integers(1, 1 << 32, (missing, 4))
            more[:, 0] *= self.both
            more[:, 2] = 0
            more[:, 3] *= self.stamps
            self.table = np.concatenate([self.table, more])
        return self.table[flow]


@dataclass(slots=True)
class Numbers:
    """Where numbers change between those of the server and the shifted ones left of here.

    `end`: the client's own end of the chain, where they change the other way round.
    """

    shift: Shift
    end: bool = False

    def cross(self, world: World, frames: Frames, direction: int) -> Frames:
        """Renumber in place."""
        p, m = frames.packets, frames.meta
        constants = np.where(p["tcp_seq"][:, None] >= 0, self.shift.of(m["flow"]), 0)
        if direction ^ self.end ^ 1:
            constants = -constants
        own, other = constants[:, direction], constants[:, 1 - direction]
        own_ts, other_ts = constants[:, 2 + direction], constants[:, 3 - direction]
        answers = (p["tcp_flags"] > 0) & (p["tcp_flags"] & ACK > 0)
        tcp = p["tcp_seq"] >= 0
        p["tcp_seq"] = np.where(tcp, (p["tcp_seq"] + own) & MASK, p["tcp_seq"])
        p["tcp_ack"] = np.where(answers, (p["tcp_ack"] + other) & MASK, p["tcp_ack"])
        stamped = p["tcp_tsval"] >= 0
        p["tcp_tsval"] = np.where(stamped, (p["tcp_tsval"] + own_ts) & MASK, p["tcp_tsval"])
        echoes = stamped & answers
        p["tcp_tsecr"] = np.where(echoes, (p["tcp_tsecr"] + other_ts) & MASK, p["tcp_tsecr"])
        _shift_sack(frames, other)
        return frames


# `tcp_sack` is of the distance to what is acknowledged, so it stays.
def _shift_sack(frames: Frames, by: NDArray[np.int64]) -> None:
    sack = frames.meta["sack"]
    left = ((sack >> np.uint64(32)).astype(np.int64) + by) & MASK
    right = ((sack & np.uint64(MASK)).astype(np.int64) + by) & MASK
    moved = left.astype(np.uint64) << np.uint64(32) | right.astype(np.uint64)
    frames.meta["sack"] = np.where(sack > 0, moved, 0)


def behind_firewall(
    world: World, nat: Nat | None = None, shift: Shift | None = None, *, wire: Link | None = None,
    hosts: tuple[str, str, str] = ("client", "firewall", "server"),
    far: tuple[Element, ...] = (), near: tuple[Element, ...] = (),
) -> Chain:  # fmt: skip
    """Return a client, a router, a firewall captured on both sides and a server.

    `near`, `far`: what is crossed before the firewall and behind it.
    """
    shift = shift or Shift(world.rng)
    wire = wire or Link(150_000, 20_000)
    return Chain(
        Numbers(shift, end=True),
        world.point("eth0", hosts[0]),
        wire,
        *near,
        Router(),
        world.point("inside", hosts[1]),
        Numbers(shift),
        Router(nat),
        world.point("outside", hosts[1]),
        *far,
        wire,
        world.point("eth0", hosts[2]),
    )


def _part(chain: Chain, start: int, stop: int | None) -> Chain:
    part = copy(chain)
    part.elements = list(chain.elements)[start:stop]
    return part


@dataclass(slots=True)
class Proxied(Tcp):
    """Connections of which the last `Numbers` of the chain answers the SYN, and sends its own."""

    def shake(self) -> None:
        """Shake hands with the proxy, then with the server; the client hears when it may send."""
        whole, ids = self.chain, self.ids
        at = [i for i, e in enumerate(whole.elements) if isinstance(e, Numbers)][-1]
        left, right = _part(whole, 0, at + 1), _part(whole, at + 1, None)
        everyone = np.arange(len(self.src))
        self.chain = left
        self.send(0, everyone, SYN)
        self.ids = (ids[0], "zero")
        self.send(1, everyone, SYN | ACK, window=0)
        self.send(0, everyone, ACK)
        for side in (0, 1):
            self.seq[side] = (self.seq[side] - 1) & MASK
        self.chain, self.ids = right, ("zero", ids[1])
        self.send(0, everyone, SYN)
        self.send(1, everyone, SYN | ACK)
        self.send(0, everyone, ACK)
        self.chain, self.ids = left, (ids[0], "zero")
        self.send(1, everyone, ACK)
        self.chain, self.ids = whole, ids
