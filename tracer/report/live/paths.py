"""Paths put together from ways: a row a device, what goes out and what comes back beside it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tracer.core.point import Point
from tracer.report.live.histogram import BUCKETS, quantile
from tracer.report.live.ways import Way

_SAME_PATH = 0.75  # share of a way's devices that a path must have to take it in


@dataclass(frozen=True, slots=True)
class Figures:
    """What is known of one direction at one hop.

    `p50_ns` and `p99_ns` are of the time since the hop before, None where there is none; `lost`
    packets were not seen after this hop, `missed` ones because the tracer lost events.
    """

    packets: int
    rate: float
    lost: int
    missed: int
    p50_ns: int | None
    p99_ns: int | None

    @property
    def loss(self) -> float:
        """Share of the packets seen here that were not seen after."""
        return self.lost / self.packets if self.packets else 0.0


@dataclass(frozen=True, slots=True)
class PathRow:
    """A point of a path, its direction as requests cross it; None where none passed."""

    point: Point
    out: Figures | None
    back: Figures | None


@dataclass(frozen=True, slots=True)
class Path:
    """Points in the order requests cross them, with what passed them both ways."""

    rows: tuple[PathRow, ...]
    packets: int
    rate: float
    lost: int
    missed: int

    @property
    def has_back(self) -> bool:
        """Whether anything was seen coming back."""
        return any(row.back for row in self.rows)


def paths_of(ways: Sequence[Way]) -> list[Path]:
    """Return the paths that the ways (busiest first) belong to, the busiest path first.

    A way is part of a path that has most of its devices: the way back, the way of packets that
    got lost half-way, one through other netfilter hooks.
    """
    groups: list[list[Way]] = []
    devices: list[set[Point]] = []
    # Long ways first among the busy ones: what got lost half-way then finds the path it was on.
    for way in sorted(ways, key=lambda way: (-len(_devices(way)), -way.packets)):
        own = _devices(way)
        shares = [len(own & others) / max(len(own), 1) for others in devices]
        best = int(np.argmax(shares)) if shares else -1
        if best >= 0 and shares[best] >= _SAME_PATH:
            groups[best].append(way)
            devices[best] |= own
        else:
            groups.append([way])
            devices.append(set(own))
    return sorted((_path(group) for group in groups), key=lambda path: -path.packets)


def _devices(way: Way) -> set[Point]:
    found = {point for point in way.points if point.hook is None}
    return found or set(way.points)


def _path(ways: list[Way]) -> Path:
    ordered = sorted(ways, key=lambda way: (way.is_backward, -len(way.points)))
    points: list[Point] = []
    for way in ordered:
        _merge(points, way.points[::-1] if way.is_backward else way.points)
    rows = tuple(
        PathRow(
            point,
            _figures(point, [way for way in ways if not way.is_backward]),
            _figures(point, [way for way in ways if way.is_backward]),
        )
        for point in points
    )
    return Path(
        rows,
        sum(way.packets for way in ways),
        sum(way.rate for way in ways),
        sum(int(way.lost.sum()) for way in ways),
        sum(int(way.missed.sum()) for way in ways),
    )


def _merge(points: list[Point], more: Sequence[Point]) -> None:
    # Puts in what is not there yet, behind the point it follows.
    place = 0
    for point in more:
        if point in points:
            place = points.index(point) + 1
        else:
            points.insert(place, point)
            place += 1


def _figures(point: Point, ways: Sequence[Way]) -> Figures | None:
    packets, rate, lost, missed = 0, 0.0, 0, 0
    times = np.zeros(BUCKETS, np.int64)
    for way in ways:
        if point in way.points:
            at = way.points.index(point)
            packets += way.packets
            rate += way.rate
            lost += int(way.lost[at])
            missed += int(way.missed[at])
            times += way.times[at]
    if not packets:
        return None
    return Figures(packets, rate, lost, missed, quantile(times, 0.5), quantile(times, 0.99))
