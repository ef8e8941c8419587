"""Captures on `any`: what one file of a host holds, and the devices it does or does not name."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from scenarios.captures import Capture
from scenarios.clocks import Clock
from scenarios.elements import Link, Tap, mac_of
from scenarios.frames import Frames
from scenarios.nat import Nat
from tracer.core.point import Direction, Point

if TYPE_CHECKING:
    from scenarios.world import World

AT_ONCE = Link(0, 0)  # from a bridge's port to the bridge: the packet keeps its stamp


@dataclass(slots=True)
class Facing(Tap):
    """A device of a capture that says whether packets go in or out; `point` is for those in.

    Packets that cross the chain in the direction `inward` go in, others out to the point `out`.
    """

    out: int = -1
    inward: int = 0

    def cross(self, world: "World", frames: Frames, direction: int) -> Frames:
        """Record what passes."""
        world.observe(self.point if direction == self.inward else self.out, frames, direction)
        return frames


@dataclass(slots=True)
class Translating:
    """A bridge with filter rules: it translates, and leaves TTL and sender's MAC as they are."""

    nat: Nat

    def cross(self, world: "World", frames: Frames, direction: int) -> Frames:
        """Return the frames with other addresses."""
        frames = Link(6_000, 1_000).cross(world, frames, direction)
        self.nat.cross(world.rng, frames, direction)
        return frames


class Everything:
    """A capture on `any` of a host, in Linux SLL, or in SLL2 where devices are `told` apart."""

    def __init__(self, world: "World", host: str, told: bool) -> None:
        self._world, self._host, self._told = world, host, told
        world.clocks.setdefault(host, Clock())
        self._all = None if told else self._ways(Point(host, capture=f"{host}-any", several=True))

    def device(self, inward: int, mac: int | None = None) -> Facing:
        """Return another device of the host, to be put into a chain."""
        number = len(self._world.points)
        if self._all is None:
            name = f"if{number}"
            inside, outside = self._ways(Point(self._host, None, name))
        else:
            inside, outside = self._all
        self._world.devices += 1
        own = mac_of(0x10000 + self._world.devices) if mac is None else mac
        return Facing(inside, own, outside, inward)

    def _ways(self, point: Point) -> tuple[int, int]:
        world, first = self._world, len(self._world.points)
        for way in (Direction.INGRESS, Direction.EGRESS):
            world.captures[len(world.points)] = Capture(cooked=True)
            world.points.append(
                replace(point, direction=way, capture=point.capture or f"{self._host}-any")
            )
            world.clock_of.append(self._host)
        return first, first + 1
