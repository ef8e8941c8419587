"""What frames cross on their way: devices, routers, links, tags, tunnels, offloads.

A `Chain` lists them from left to right; direction 0 crosses it so, direction 1 from right to left.
"""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field
from itertools import takewhile
from typing import TYPE_CHECKING, Protocol

import numpy as np

from scenarios.frames import Frames, join, measure
from scenarios.nat import Nat
from tracer.core.address import encode_ip, encode_mac
from tracer.core.enums import Encap

if TYPE_CHECKING:
    from scenarios.world import World

MICRO = 1_000
UNSEEN = 0x02FFFFFF0000  # MACs of interfaces nobody captures at


class Element(Protocol):
    """Something frames cross."""

    def cross(self, world: "World", frames: Frames, direction: int) -> Frames:
        """Return the frames that come out on the other side."""


@dataclass(slots=True)
class Tap:
    """A device: an observation point. `mac` is its own address."""

    point: int
    mac: int = 0

    def cross(self, world: "World", frames: Frames, direction: int) -> Frames:
        """Record what passes."""
        world.observe(self.point, frames, direction)
        return frames


@dataclass(slots=True)
class Link:
    """Time passes: `delay_ns` and exponential `jitter_ns`, in order unless `reorder`.

    `loss` and `copies` are probabilities; `reorder` the share of packets held back `hold_ns`.
    """

    delay_ns: int = 8 * MICRO
    jitter_ns: int = 2 * MICRO
    loss: float = 0.0
    reorder: float = 0.0
    hold_ns: int = 300 * MICRO
    copies: float = 0.0
    back_ns: int = 0  # how much longer the way back takes

    def cross(self, world: "World", frames: Frames, direction: int) -> Frames:
        """Return what arrives, later."""
        rng, n = world.rng, len(frames)
        if self.loss:
            lost = rng.random(n) < self.loss
            world.lose(frames.take(lost))
            frames = frames.take(~lost)
        if self.copies:
            again = frames.take(rng.random(len(frames)) < self.copies)
            frames = join([frames, again])
        self._wait(rng, frames, direction)
        return frames

    def _wait(self, rng: np.random.Generator, frames: Frames, direction: int) -> None:
        t = frames.meta["true_ns"]
        order = np.argsort(t, kind="stable")
        late = t[order] + self.delay_ns + self.back_ns * direction
        late = late + rng.exponential(self.jitter_ns, len(t)).astype(np.int64)
        late = np.maximum.accumulate(late - np.arange(len(t))) + np.arange(len(t))
        held = rng.random(len(t)) < self.reorder
        late = late + held * self.hold_ns
        frames.meta["true_ns"][order] = late


@dataclass(slots=True)
class Router:
    """A routing namespace: TTL falls by one, MACs change, `nat` translates.

    `inbound` marks a translation whose original direction is from right to left. MACs are
    (source, destination) of frames sent right and left, set by the chain.
    """

    nat: Nat | None = None
    inbound: bool = False
    loss: float = 0.0
    address: str | None = None
    macs: list[tuple[int, int]] = field(default_factory=lambda: [(0, 0), (0, 0)])

    def cross(self, world: "World", frames: Frames, direction: int) -> Frames:
        """Return what is forwarded."""
        frames = Link(12 * MICRO, 3 * MICRO, self.loss).cross(world, frames, direction)
        frames.packets["ttl"] -= 1
        frames.packets["src_mac"], frames.packets["dst_mac"] = self.macs[direction]
        if self.nat is not None:
            self.nat.cross(world.rng, frames, direction ^ self.inbound)
            self._cut_anew(frames)
        return frames

    # Who tracks connections puts IPv6 fragments together and cuts them again, under another id.
    def _cut_anew(self, frames: Frames) -> None:
        p = frames.packets
        fragment = (p["ip_version"] == 6) & (p["ip_id"] >= 0)
        ids = p["ip_id"] * 2_654_435_761 + self.macs[0][0]
        p["ip_id"] = np.where(fragment, ids & 0xFFFFFFFF, p["ip_id"])


@dataclass(slots=True)
class Tag:
    """To the right of it frames carry VLAN `vid`, to its left where `end`."""

    vid: int
    end: bool = False

    def cross(self, world: "World", frames: Frames, direction: int) -> Frames:
        """Tag or untag."""
        frames.packets["vlan"] = self.vid if direction == self.end else -1
        return frames


@dataclass(slots=True)
class Tunnel:
    """Between its ends frames are inside a tunnel; `inside` is what they cross there."""

    kind: Encap
    vni: int
    left: str
    right: str
    inside: tuple[Element, ...]
    macs: tuple[int, int] = (0x0C42A1000001, 0x0C42A1000002)

    def cross(self, world: "World", frames: Frames, direction: int) -> Frames:
        """Encapsulate, cross, decapsulate."""
        self._wrap(world, frames, direction)
        for element in self.inside if direction == 0 else self.inside[::-1]:
            frames = element.cross(world, frames, direction)
        frames.sections["tunnel"]["row"] = -1
        return frames

    def _wrap(self, world: "World", frames: Frames, direction: int) -> None:
        t = frames.section("tunnel")
        ends = (self.left, self.right) if direction == 0 else (self.right, self.left)
        macs = self.macs if direction == 0 else self.macs[::-1]
        t["outer_src_hi"], t["outer_src_lo"] = encode_ip(ends[0])
        t["outer_dst_hi"], t["outer_dst_lo"] = encode_ip(ends[1])
        t["outer_src_mac"], t["outer_dst_mac"] = macs
        t["outer_ip_id"] = world.rng.integers(0, 65536, len(frames))
        t["vni"], t["outer_ttl"], t["outer_vlan"] = self.vni, 64, -1
        if self.kind in (Encap.VXLAN, Encap.GENEVE):
            t["outer_sport"] = 49152 + frames.meta["flow"] % 16384
            t["outer_dport"] = 4789 if self.kind is Encap.VXLAN else 6081
        t["encap"], t["tunnels"], t["row"] = int(self.kind), 1, 0


@dataclass(slots=True)
class OuterRouter:
    """A router between tunnel ends: the outer TTL falls by one."""

    def cross(self, world: "World", frames: Frames, direction: int) -> Frames:
        """Forward the outer packet."""
        frames.sections["tunnel"]["outer_ttl"] -= 1
        return Link().cross(world, frames, direction)


@dataclass(slots=True)
class Offload:
    """To its right TCP is in segments of `mss`, to its left in super-packets (GSO, GRO).

    `across`: GRO puts segments of several super-packets together as well.
    """

    mss: int = 1448
    reverse: bool = False
    limit: int = 64  # segments GRO puts together at most
    across: bool = False

    def cross(self, world: "World", frames: Frames, direction: int) -> Frames:
        """Split or merge."""
        return (
            split(frames, self.mss)
            if direction == self.reverse
            else merge(frames, self.mss * self.limit, self.across)
        )


def split(frames: Frames, mss: int) -> Frames:
    """Return TCP super-packets cut into segments of `mss`, other rows as they are."""
    p = frames.packets
    count = np.where((p["proto"] == 6) & (p["payload_len"] > mss), -(-p["payload_len"] // mss), 1)
    owner = np.repeat(np.arange(len(frames)), count)
    n = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
    out = frames.take(owner)
    q, cut = out.packets, count[owner] > 1
    size = np.minimum(mss, p["payload_len"][owner] - n * mss)
    q["payload_len"] = np.where(cut, size, q["payload_len"])
    q["tcp_seq"] = np.where(cut, (q["tcp_seq"] + n * mss) & 0xFFFFFFFF, q["tcp_seq"])
    # The kernel counts IP ids on per segment, and leaves PSH and FIN to the last one.
    q["ip_id"] = np.where(cut & (q["ip_id"] > 0), (q["ip_id"] + n) & 0xFFFF, q["ip_id"])
    last = n == count[owner] - 1
    q["tcp_flags"] = np.where(cut & ~last, q["tcp_flags"] & ~0x09, q["tcp_flags"])
    out.meta["offset"] += np.where(cut, n * mss, 0)
    out.meta["true_ns"] += n * 1200
    out.meta["wire"] |= cut
    q["gso_size"] = np.where(cut, -1, q["gso_size"])
    measure(out)
    return out


def merge(frames: Frames, most: int, across: bool = False) -> Frames:
    """Return segments of one super-packet put together where contiguous, to `most` bytes.

    `across`: of one flow, as far as acknowledgement and time stamps are equal, which GRO asks for.
    """
    if not frames.meta["wire"].any():
        return frames
    whole = frames.take(~frames.meta["wire"])
    parts = frames.take(frames.meta["wire"])
    of = parts.meta["flow" if across else "packet"]
    parts = parts.take(np.lexsort((parts.meta["offset"], of)))
    m, p = parts.meta, parts.packets
    of = m["flow" if across else "packet"]
    new = np.ones(len(parts), bool)
    new[1:] = (of[1:] != of[:-1]) | (m["offset"][1:] != m["offset"][:-1] + p["payload_len"][:-1])
    for name in ("src_lo", "tcp_ack", "tcp_tsval", "tcp_tsecr"):
        new[1:] |= p[name][1:] != p[name][:-1]
    head = np.maximum.accumulate(np.where(new, np.arange(len(parts)), 0))
    new |= (m["offset"] - m["offset"][head]) % most == 0
    starts = np.flatnonzero(new)
    out = parts.take(starts)
    out.packets["payload_len"] = np.add.reduceat(p["payload_len"], starts)
    out.packets["tcp_flags"] = np.bitwise_or.reduceat(p["tcp_flags"], starts)
    out.meta["true_ns"] = np.maximum.reduceat(m["true_ns"], starts)
    out.meta["wire"] = False
    measure(out)
    return join([whole, out])


@dataclass(slots=True)
class Flood:
    """A bridge that sends a copy of each frame down every branch (at the end of a chain)."""

    branches: tuple["Chain", ...]

    def cross(self, world: "World", frames: Frames, direction: int) -> Frames:
        """Return what reached the ends of all branches."""
        return join([branch.cross(world, frames.copy(), direction) for branch in self.branches])


class Chain:
    """Elements from left to right; sets the MACs of its routers from its taps.

    The taps at the ends are hosts' own devices; a tap beside a router is that router's interface.
    """

    def __init__(self, *elements: Element) -> None:
        self.elements: Sequence[Element] = elements
        layout = [e for e in elements if isinstance(e, Tap | Router)]
        for k, element in enumerate(layout):
            if isinstance(element, Router):
                element.macs = [_onward(layout, k, 1), _onward(layout, k, -1)]
        self.entry = [
            (way[0].mac, _onward(way, 0, 1)[1])
            if way and isinstance(way[0], Tap)
            else (UNSEEN, UNSEEN)
            for way in (layout, layout[::-1])
        ]

    def cross(self, world: "World", frames: Frames, direction: int) -> Frames:
        """Return what comes out at the other end."""
        for element in self.elements if direction == 0 else self.elements[::-1]:
            frames = element.cross(world, frames, direction)
        return frames

    def until(self, element: Element) -> "Chain":
        """Return the part up to an element, for what is answered or refused there."""
        part = copy(self)
        part.elements = self.elements[: list(self.elements).index(element)]
        part.entry = [self.entry[0], (UNSEEN, UNSEEN + 1)]
        return part

    def address(self, frames: Frames, direction: int) -> None:
        """Set the MACs of frames that enter at an end."""
        frames.packets["src_mac"], frames.packets["dst_mac"] = self.entry[direction]


# (source, destination) MAC of frames that layout[k], a router, sends on in steps of `step`; where
# layout[k] is a host's tap, of frames that it sends.
def _onward(layout: Sequence[Tap | Router], k: int, step: int) -> tuple[int, int]:
    ahead = list(layout[k::step])
    segment = list(takewhile(lambda e: isinstance(e, Tap), ahead[isinstance(ahead[0], Router) :]))
    macs = [e.mac for e in segment if isinstance(e, Tap)]
    unseen = UNSEEN + 2 * k + (step > 0)
    if len(macs) > 1:
        return macs[0], macs[-1]
    if not macs:
        return unseen, unseen + 100
    # A single tap at the end of the chain is the receiving host's.
    alone_at_end = isinstance(ahead[0], Router) and len(ahead) == 2
    return (unseen, macs[0]) if alone_at_end else (macs[0], unseen + 100)


def mac_of(number: int) -> int:
    """Return a locally administered MAC."""
    return encode_mac("02:00:00:00:00:00") + number
