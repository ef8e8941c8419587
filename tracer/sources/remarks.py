"""What can be said of captures only once their packets were read."""

from collections.abc import Collection, Iterable, Iterator

from tracer.core.warnings import InputWarning
from tracer.sources.points import PointEntry

Place = tuple[int, int]  # interface and ifindex of a packet; -1 unknown


def absent_interfaces(entries: Iterable[PointEntry], count: int) -> Iterator[tuple[str, str, int]]:
    """Yield kind, message and count of what is said of interfaces that a capture does not have."""
    absent = [e.interface for e in entries if (e.interface or 0) >= count]
    if absent:
        there = f"interfaces 0 to {count - 1}" if count > 1 else "interface 0"
        message = f"points.toml speaks of interface {absent[0]}, but it has only {there}"
        yield "missing-interface", message, len(absent)


def absent_devices(
    capture: str, entries: Iterable[PointEntry], places: Collection[Place]
) -> Iterator[InputWarning]:
    """Yield a warning if entries speak of devices of which the capture has no packet."""
    absent = [
        entry
        for entry in entries
        if entry.ifindex is not None
        and not any(_is_at(entry, interface, ifindex) for interface, ifindex in places)
    ]
    if absent:
        first = absent[0]
        where = "" if first.interface is None else f" of interface {first.interface}"
        message = f"points.toml speaks of ifindex {first.ifindex}{where}, which no packet in it has"
        yield InputWarning("missing-ifindex", message, capture, None, len(absent))


def _is_at(entry: PointEntry, interface: int, ifindex: int) -> bool:
    return entry.ifindex == ifindex and entry.interface in (None, interface)
