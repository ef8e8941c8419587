"""Segments of each flow: packets, losses, what was sent again for them, reordering, delays.

Sets of journeys are added one after the other, so that those of windows add up as all at once do.
Delays are kept as they are while they are few; then rounded, ever more coarsely, in bounded memory.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.enums import Event
from tracer.core.journeys import NO_TIME, JourneySet
from tracer.core.point import Point
from tracer.core.rows import Rows
from tracer.core.schema import StructuredArray
from tracer.core.segments import segment_events, steps_of
from tracer.core.ways import ways_of

FLOW_SEGMENT_DTYPE = np.dtype(
    [
        ("flow", "<i8"),  # index into the set's flows, -1 for none
        ("way", "i1"),  # core.ways: REQUEST, REPLY, -1 for neither
        ("n", "<i4"),  # place on the way, from 1
        ("from_point", "<i4"),  # index into `points`
        ("to_point", "<i4"),  # -1: beyond the last point that was seen
        ("packets", "<i8"),  # that came to the second point
        ("lost", "<i8"),
        ("missed", "<i8"),
        ("resent", "<i8"),
        ("reordered", "<i8"),
        ("timed", "<i8"),  # of the packets: with a time that clocks can say
        *((name, "<i8") for name in ("p50_ns", "p90_ns", "p99_ns", "max_ns")),  # NO_TIME: none
    ]
)  # by flow, way and n
_SHARES = (("p50_ns", 0.50), ("p90_ns", 0.90), ("p99_ns", 0.99), ("max_ns", 1.0))
_COUNTS = ("packets", "lost", "missed", "resent", "reordered")
_OF_EVENT = {
    "lost": Event.LOST, "missed": Event.MISSED, "resent": Event.RESENT,
    "reordered": Event.OVERTAKEN,
}  # fmt: skip
_BITS = (10, 8, 7, 6, 5)  # leading bits that are kept of delays: they are 0.1 % off, and so on


@dataclass(slots=True)
class _Tally:
    # A row each key, ascending: counts in the order of _COUNTS, then the sum of places and of what.
    keys: NDArray[np.int64]
    values: NDArray[np.int64]

    def plus(self, keys: NDArray[np.int64], values: NDArray[np.int64]) -> "_Tally":
        keys, codes = np.unique(np.concatenate([self.keys, keys]), return_inverse=True)
        total = np.zeros((len(keys), self.values.shape[1]), np.int64)
        np.add.at(total, codes.reshape(-1), np.concatenate([self.values, values]))
        return _Tally(keys, total)


class FlowSegments:
    """Adds up the segments of flows; `table` has them, `points` are what it names by number.

    Above `most_delays` distinct ones (None: no limit) delays are rounded.
    """

    def __init__(self, most_delays: int | None = None) -> None:
        self._most = most_delays
        self._bits = 0  # leading bits of delays that are kept; 0: all
        self._points: dict[Point, int] = {}
        self._pairs: dict[tuple[int, int], int] = {}
        self._tally = _Tally(np.empty(0, np.int64), np.empty((0, len(_COUNTS) + 2), np.int64))
        self._delays = np.empty((3, 0), np.int64)  # key, ns, how many; by key and ns
        self._longest = _Tally(np.empty(0, np.int64), np.empty((0, 1), np.int64))

    @property
    def points(self) -> tuple[Point, ...]:
        """The points, in the order in which they were first seen."""
        return tuple(self._points)

    @property
    def error(self) -> float:
        """How far percentiles may be off, as a part of them; 0: they are exact."""
        return 2.0**-self._bits if self._bits else 0.0

    def add(self, journey_set: JourneySet, chosen: Rows | None = None) -> None:
        """Add the chosen journeys (all by default); losses are judged from all of the set."""
        is_chosen = np.zeros(len(journey_set.journeys), np.bool_)
        is_chosen[slice(None) if chosen is None else chosen] = True
        of_point = np.array(
            [
                *(self._points.setdefault(each, len(self._points))
                  for each in journey_set.observations.points),
                -1,
            ]
        )  # fmt: skip
        ways = ways_of(journey_set)
        steps, hops = steps_of(journey_set), journey_set.hops
        mine = np.flatnonzero(is_chosen[hops["journey"][steps.after]])
        journey = hops["journey"][steps.after[mine]]
        ends = of_point[steps.from_point[mine]], of_point[steps.to_point[mine]]
        keys = self._keys(journey_set, ways, journey, *ends)
        rows = np.zeros((len(keys), self._tally.values.shape[1]), np.int64)
        rows[:, 0] = rows[:, -1] = 1
        rows[:, -2] = hops["n"][steps.after[mine]]
        self._add_events(journey_set, ways, is_chosen, of_point, (keys, rows))
        self._add_delays(keys, hops["delta_ns"][steps.after[mine]])

    def _add_events(
        self, journey_set: JourneySet, ways: NDArray[np.int8], is_chosen: NDArray[np.bool_],
        of_point: Rows, before: tuple[NDArray[np.int64], NDArray[np.int64]],
    ) -> None:  # fmt: skip
        events = segment_events(journey_set)
        events = events[is_chosen[events["journey"]]]
        ends = of_point[events["from_point"]], of_point[events["to_point"]]
        keys = self._keys(journey_set, ways, events["journey"], *ends)
        rows = np.zeros((len(keys), self._tally.values.shape[1]), np.int64)
        for column, name in enumerate(_COUNTS[1:], 1):
            rows[:, column] = events["event"] == _OF_EVENT[name]
        # Where nothing went on, the place is one after that of the last hop.
        gone = np.isin(events["event"], (Event.LOST, Event.MISSED))
        rows[gone, -2] = journey_set.journeys["n_hops"][events["journey"][gone]] + 1
        rows[gone, -1] = 1
        self._tally = self._tally.plus(
            np.concatenate([before[0], keys]), np.concatenate([before[1], rows])
        )

    def _keys(
        self, journey_set: JourneySet, ways: NDArray[np.int8], journey: Rows, origin: Rows,
        target: Rows,
    ) -> NDArray[np.int64]:  # fmt: skip
        # Flow (32 bits), way (2) and pair of points (29) in one number.
        pairs, codes = np.unique((origin << 32) | (target + 1), return_inverse=True)
        numbers = [
            self._pairs.setdefault((pair >> 32, (pair & 0xFFFFFFFF) - 1), len(self._pairs))
            for pair in pairs.tolist()
        ]
        of_pair = np.array(numbers, np.int64)[codes.reshape(-1)]
        flow = journey_set.journeys["flow"][journey].astype(np.int64) + 1
        way = ways[journey].astype(np.int64) + 1
        found: NDArray[np.int64] = (flow << 31) | (way << 29) | of_pair
        return found

    def _add_delays(self, keys: NDArray[np.int64], delays: NDArray[np.int64]) -> None:
        known = (delays != NO_TIME) & (delays >= 0)
        keys, delays = keys[known], delays[known]
        distinct, codes = np.unique(keys, return_inverse=True)
        longest = np.zeros(len(distinct), np.int64)
        np.maximum.at(longest, codes.reshape(-1), delays)
        both = np.concatenate([self._longest.keys, distinct])
        distinct, codes = np.unique(both, return_inverse=True)
        most = np.zeros((len(distinct), 1), np.int64)
        values = np.concatenate([self._longest.values[:, 0], longest])
        np.maximum.at(most[:, 0], codes.reshape(-1), values)
        self._longest = _Tally(distinct, most)
        more = np.stack([keys, _rounded(delays, self._bits), np.ones(len(keys), np.int64)])
        self._delays = _summed(np.concatenate([self._delays, more], axis=1))
        while self._most is not None and self._delays.shape[1] > self._most:
            coarser = [bits for bits in _BITS if not self._bits or bits < self._bits]
            if not coarser:
                return
            self._bits = coarser[0]
            self._delays[1] = _rounded(self._delays[1], self._bits)
            self._delays = _summed(self._delays)

    def table(self) -> StructuredArray:
        """Return a record of FLOW_SEGMENT_DTYPE for each flow, way and pair of points."""
        keys, values = self._tally.keys, self._tally.values
        table = np.zeros(len(keys), FLOW_SEGMENT_DTYPE)
        pairs = np.array([*self._pairs, (-1, -1)], np.int64)[keys & ((1 << 29) - 1)]
        table["flow"], table["way"] = (keys >> 31) - 1, ((keys >> 29) & 3) - 1
        table["from_point"], table["to_point"] = pairs[:, 0], pairs[:, 1]
        for column, name in enumerate(_COUNTS):
            table[name] = values[:, column]
        self._fill_delays(table)
        place = values[:, -2] / np.maximum(values[:, -1], 1)
        place[values[:, -1] == 0] = np.inf
        order = np.lexsort((place, table["way"], table["flow"]))
        table = table[order]
        begins = np.flatnonzero(np.diff(keys[order] >> 29, prepend=-1))
        sizes = np.diff(np.append(begins, len(table)))
        table["n"] = np.arange(len(table)) - np.repeat(begins, sizes) + 1
        return table

    def _fill_delays(self, table: Any) -> None:
        for name, _ in _SHARES:
            table[name] = NO_TIME
        rows = np.searchsorted(self._tally.keys, self._delays[0])
        count = np.bincount(rows, self._delays[2], len(table)).astype(np.int64)
        table["timed"] = count
        there = np.flatnonzero(count)
        below = np.cumsum(count) - count
        total = np.cumsum(self._delays[2])
        for name, share in _SHARES[:-1]:
            # Nearest rank: the least delay that at least this share of packets did not exceed.
            rank = below[there] + np.maximum(np.ceil(share * count[there]).astype(np.int64), 1)
            table[name][there] = self._delays[1, np.searchsorted(total, rank)]
        table["max_ns"][there] = self._longest.values[:, 0]
        for name, _ in _SHARES[:-1]:  # a rounded one is not above the longest
            table[name][there] = np.minimum(table[name][there], table["max_ns"][there])


def _rounded(values: NDArray[np.int64], bits: int) -> NDArray[np.int64]:
    # To the middle of the numbers that share so many leading bits.
    if not bits:
        return values
    length = np.frexp(values.astype(np.float64))[1].astype(np.int64)
    shift = np.maximum(length - bits, 0)
    found: NDArray[np.int64] = ((values >> shift) << shift) + ((1 << shift) >> 1)
    return np.where(shift > 0, found, values)


def _summed(delays: NDArray[np.int64]) -> NDArray[np.int64]:
    # Equal (key, ns) as one, by key and ns.
    order = np.lexsort((delays[1], delays[0]))
    delays = delays[:, order]
    new = np.ones(delays.shape[1], np.bool_)
    new[1:] = np.any(np.diff(delays[:2], axis=1) != 0, axis=0)
    starts = np.flatnonzero(new)
    if len(starts):
        counts = np.add.reduceat(delays[2], starts)
        delays = delays[:, starts]
        delays[2] = counts
    return delays
