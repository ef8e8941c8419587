"""Observation points (RFC 7011): where a packet is seen."""

from dataclasses import dataclass, replace
from enum import IntEnum


class Direction(IntEnum):
    """Direction relative to the device, never to the host or to NAT; -1 is unknown."""

    UNKNOWN = -1
    INGRESS = 0
    EGRESS = 1

    @property
    def label(self) -> str | None:
        """The word shown, or None when the direction is not known."""
        return None if self is Direction.UNKNOWN else self.name.lower()


@dataclass(frozen=True, slots=True)
class Point:
    """host + netns + device + direction, or host + netns + netfilter hook.

    `clock` names the clock that stamped it (one per host unless told otherwise); `mac` is the
    device's own address when the input says it (it decides ingress or egress of Ethernet captures).
    `several`: all devices of a host together, as `tcpdump -i any` writes them in Linux SLL, which
    names none; such a point shows one packet once for each device that it passed.
    """

    host: str | None = None
    netns: str | None = None
    device: str | None = None
    direction: Direction = Direction.UNKNOWN
    hook: str | None = None
    clock: str | None = None
    mac: int | None = None
    capture: str | None = None
    several: bool = False

    @property
    def clock_name(self) -> str:
        """The clock's name: `clock`, else the host's, else one clock shared by all."""
        return self.clock or self.host or "capture"

    @property
    def name(self) -> str:
        """Short name for tables: the device, else the hook, else the capture."""
        return self.device or self.hook or self.capture or "?"

    def towards(self, direction: Direction) -> "Point":
        """Return the same device seen in the given direction."""
        return replace(self, direction=direction)
