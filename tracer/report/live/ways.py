"""Counters of the ways packets take: one for each sequence of points, fed with journeys as they
come.
"""

from collections import deque
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from tracer.core.enums import Kind, Outcome
from tracer.core.journeys import NO_TIME, JourneySet
from tracer.core.mixing import GOLDEN, mixed
from tracer.core.point import Direction, Point
from tracer.report.live.histogram import BUCKETS, buckets_of

#: More ways than these are counted together, without their hops.
MOST_WAYS = 512
RATE_NS, _SECOND = 5_000_000_000, 1_000_000_000
_LOST = (Outcome.DROPPED, Outcome.VANISHED)


@dataclass(slots=True)
class Way:
    """Counters of one sequence of points.

    `points` are in the order the packets cross them, their direction as the request sees it: where
    `is_backward` packets come out of a device, requests go in. `lost` and `missed` (lost by tracer)
    are by the hop after which packets were not seen, shape (hops,); `times` holds the buckets of
    the time since the hop before, shape (hops, BUCKETS).
    """

    points: tuple[Point, ...]
    is_backward: bool
    packets: int = 0
    rate: float = 0.0
    lost: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    missed: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    times: NDArray[np.uint32] = field(default_factory=lambda: np.zeros((0, BUCKETS), np.uint32))
    marks: deque[tuple[int, int]] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Start counting anew."""
        count = len(self.points)
        self.packets, self.rate = 0, 0.0
        self.lost, self.missed = np.zeros(count, np.int64), np.zeros(count, np.int64)
        self.times = np.zeros((count, BUCKETS), np.uint32)
        self.marks.clear()

    def tick(self, now_ns: int) -> None:
        """Work out the rate (packets/s) over the last seconds before `now_ns`."""
        while len(self.marks) > 1 and self.marks[1][0] <= now_ns - RATE_NS:
            self.marks.popleft()
        if self.marks and now_ns > self.marks[0][0]:
            then_ns, before = self.marks[0]
            # What waited for its end comes all at once; less than a second is no rate.
            self.rate = (self.packets - before) * 1e9 / max(now_ns - then_ns, _SECOND)
        self.marks.append((now_ns, self.packets))


class Ways:
    """All ways seen so far; `add` counts journeys, `tick` works out rates."""

    def __init__(self, most: int = MOST_WAYS) -> None:
        self._most = most
        self._ways: dict[tuple[bool, tuple[Point, ...]], Way] = {}
        self.other_packets = 0  # on ways there was no room for
        self._last_tick: int | None = None

    @property
    def ways(self) -> list[Way]:
        """Those that have packets, the busiest first."""
        found = [way for way in self._ways.values() if way.packets]
        return sorted(found, key=lambda way: -way.packets)

    def add(self, part: JourneySet) -> None:
        """Count every journey of a set; linear in its hops, no Python per packet."""
        if not len(part.journeys):
            return
        points, codes = _codes(part)
        backward = is_backward(part)
        sides = codes % 3  # 0 unknown, 1 ingress, 2 egress; as the request sees it
        turned = backward[part.hops["journey"]] & (sides > 0)
        codes[turned] += 3 - 2 * sides[turned]
        for members in _alike(part, codes, backward):
            first = part.journeys[members[0]]
            own = codes[first["first_hop"] : first["first_hop"] + first["n_hops"]]
            key = tuple(points[code // 3].towards(Direction(code % 3 - 1)) for code in own.tolist())
            way = self._way(key, bool(backward[members[0]]))
            if way is None:
                self.other_packets += len(members)
            else:
                _count(way, part, members)

    def tick(self, now_ns: int) -> None:
        """Work out the rates; to be called a few times a second with a time that never falls."""
        if self._last_tick is not None and now_ns - self._last_tick < RATE_NS // 10:
            return
        self._last_tick = now_ns
        for way in self._ways.values():
            way.tick(now_ns)

    def restart(self) -> None:
        """Forget all counts."""
        self._ways.clear()
        self.other_packets = 0

    def _way(self, points: tuple[Point, ...], is_backward: bool) -> Way | None:
        key = (is_backward, points)
        if key not in self._ways:
            if len(self._ways) >= self._most:
                return None
            self._ways[key] = Way(points, is_backward)
            if self._last_tick is not None:
                self._ways[key].marks.append((self._last_tick, 0))
        return self._ways[key]


def is_backward(part: JourneySet) -> NDArray[np.bool_]:
    """Return which journeys go against their flow's original direction, shape (journeys,)."""
    journeys = part.journeys
    answer = (journeys["request"] >= 0) | (journeys["quotes"] >= 0)
    back: NDArray[np.bool_] = answer | (journeys["kind"] == Kind.ECHO_REPLY)
    known = np.flatnonzero((journeys["flow"] >= 0) & (journeys["flow"] < len(part.flows)) & ~back)
    if len(known):
        flows = part.flows[journeys["flow"][known]]
        rows = part.hops["row"][journeys["first_hop"][known]]
        packets = part.observations.packets[rows]
        from_source = np.zeros(len(known), np.bool_)
        for prefix in ("", "nat_"):
            own = np.ones(len(known), np.bool_)
            for name in ("src_hi", "src_lo", "sport"):
                own &= packets[name] == flows[prefix + name]
            from_source |= own
        back[known] = ~from_source & (packets["ip_version"] >= 0)
    return back


def _codes(part: JourneySet) -> tuple[list[Point], NDArray[np.int64]]:
    # Each hop's place in the list of points (without direction) times 3, plus its direction + 1.
    places: dict[Point, int] = {}
    of_point = np.zeros(len(part.observations.points) + 1, np.int64)
    ways = np.full(len(of_point), Direction.UNKNOWN, np.int64)
    for code, point in enumerate((*part.observations.points, Point())):
        name = point.capture if not (point.device or point.hook) else None
        place = Point(point.host, point.netns, point.device, hook=point.hook, capture=name)
        of_point[code] = places.setdefault(place, len(places))
        ways[code] = point.direction
    point_codes = part.observations.packets["point"][part.hops["row"]]
    directions = part.hops["direction"].astype(np.int64)
    directions = np.where(directions == Direction.UNKNOWN, ways[point_codes], directions)
    return list(places), of_point[point_codes] * 3 + directions + 1


def _alike(
    part: JourneySet, codes: NDArray[np.int64], backward: NDArray[np.bool_]
) -> list[NDArray[np.int64]]:
    # Journeys over the same points, an array for each way, told by a hash of their codes.
    journeys = part.journeys
    seeds = (codes.astype(np.uint64) + np.uint64(1)) * np.uint64(0x100000001B3)
    hashes = mixed(seeds, part.hops["n"].astype(np.uint64) << np.uint64(40)) * GOLDEN
    sums = np.zeros(len(journeys), np.uint64)
    np.add.at(sums, part.hops["journey"], hashes)
    sums ^= backward.astype(np.uint64)
    order = np.argsort(sums, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(sums[order])) + 1)


def _count(way: Way, part: JourneySet, members: NDArray[np.int64]) -> None:
    journeys, count = part.journeys[members], len(way.points)
    way.packets += len(members)
    hops = journeys["first_hop"][:, None] + np.arange(count)
    deltas = part.hops["delta_ns"][hops]
    known = (deltas != NO_TIME) & (deltas >= 0)
    cells = (np.arange(count) * BUCKETS)[None, :] + buckets_of(np.where(known, deltas, 0))
    found = np.bincount(cells[known], minlength=count * BUCKETS)
    way.times += found.reshape(count, BUCKETS).astype(np.uint32)
    for outcomes, counter in ((_LOST, way.lost), ((Outcome.LOST_BY_TRACER,), way.missed)):
        ended = journeys["outcome_point"][np.isin(journeys["outcome"], outcomes)]
        for at, times in zip(*np.unique(ended, return_counts=True), strict=True):
            counter[_hop_at(way, part, int(at))] += times


def _hop_at(way: Way, part: JourneySet, at: int) -> int:
    # Where on the way a packet was last seen: at its outcome's point, else at the last hop.
    last = len(way.points) - 1
    if not 0 <= at < len(part.observations.points):
        return last
    point = part.observations.points[at]
    for n in range(last, -1, -1):
        own = replace(way.points[n], direction=Direction.UNKNOWN)
        if (own.host, own.netns, own.name) == (point.host, point.netns, point.name):
            return n
    return last
