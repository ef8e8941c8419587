"""A bridge that somebody listens to, with filter rules: it passes packets on and takes them up."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scenarios.elements import Link, Tap
from scenarios.frames import Frames, join
from scenarios.nat import Nat

if TYPE_CHECKING:
    from scenarios.world import World


@dataclass(slots=True)
class TakenUp:
    """From port to port over a bridge: translated to `dnat`, masqueraded to `mask` where bridged.

    The bridge gives its host a copy under the sender's MAC; the host routes that to the same
    station, one TTL less and not masqueraded. `lost`: shares of the bridged and the routed copies
    that do not come to the port. `macs`: of the stations on the left and on the right.
    """

    left: Tap
    right: Tap
    bridge: Tap
    dnat: Nat
    mask: Nat
    macs: tuple[int, int]
    lost: tuple[float, float] = (0.0, 0.0)

    def cross(self, world: "World", frames: Frames, direction: int) -> Frames:
        """Return both copies, as far as they come out of the other port."""
        sender, station = self.macs if direction == 0 else self.macs[::-1]
        out = self.right if direction == 0 else self.left
        first, second = (self.dnat, self.mask) if direction == 0 else (self.mask, self.dnat)
        self._send(frames, sender, self.bridge.mac)
        (self.left if direction == 0 else self.right).cross(world, frames, direction)
        frames = Link(6_000, 1_000).cross(world, frames, direction)
        first.cross(world.rng, frames, direction)
        self._send(frames, self.bridge.mac, station)
        self.bridge.cross(world, frames, direction)
        self._send(frames, sender, station)
        bridged = Link(6_000, 4_000).cross(world, frames.copy(), direction)
        second.cross(world.rng, bridged, direction)
        routed = Link(7_000, 4_000).cross(world, frames, direction)
        self.bridge.cross(world, routed, direction)
        routed = Link(1_000, 500).cross(world, routed, direction)
        routed.packets["ttl"] -= 1
        self._send(routed, self.bridge.mac, station)
        self.bridge.cross(world, routed, direction)
        ways = zip((bridged, routed), self.lost, strict=True)
        arrived = join([self._kept(world, frames, share) for frames, share in ways])
        return out.cross(world, Link(1_000, 500).cross(world, arrived, direction), direction)

    def _send(self, frames: Frames, src: int, dst: int) -> None:
        frames.packets["src_mac"], frames.packets["dst_mac"] = src, dst

    def _kept(self, world: "World", frames: Frames, share: float) -> Frames:
        # A packet is lost where both of its copies are: what a packet's loss is, the test says.
        kept: Frames = frames.take(world.rng.random(len(frames)) >= share)
        return kept


def bridged_at(frames: Frames, ttl: int) -> Frames:
    """Return the copies that were bridged, of packets sent with a TTL."""
    return frames.take(np.flatnonzero(frames.packets["ttl"] == ttl))
