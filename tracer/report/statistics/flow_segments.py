"""Segments of each flow: packets, losses, what was sent again for them, reordering, delays.

Sets of journeys are added one after the other, so that those of windows add up as all at once do.
Delays are kept as they are while they are few; then rounded, ever more coarsely, in bounded memory.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.enums import Event
from tracer.core.journeys import NO_TIME, JourneySet
from tracer.core.point import Point
from tracer.core.rows import Rows
from tracer.core.schema import StructuredArray
from tracer.core.segments import last_at, segment_events, steps_of
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
_PERCENTILES = {"p50_ns": 0.50, "p90_ns": 0.90, "p99_ns": 0.99}
_COUNTS = ("packets", "lost", "missed", "resent", "reordered")
_OF_EVENT = {
    "lost": Event.LOST, "missed": Event.MISSED, "resent": Event.RESENT,
    "reordered": Event.OVERTAKEN,
}  # fmt: skip
_BITS = (10, 8, 7, 6, 5)  # leading bits that are kept of delays: they are 0.1 % off, and so on


# Columns of a tally: sums of _COUNTS, of places on the way and of how many these are; the longest
# delay, -1 for none.
_PLACES, _PLACED, _LONGEST = len(_COUNTS), len(_COUNTS) + 1, len(_COUNTS) + 2
_FEW = 1 << 20  # rows that wait to be added up with those that have been


class FlowSegments:
    """Adds up the segments of flows; `table` has them, `points` are what it names by number.

    Above `most_delays` distinct ones (None: no limit) delays are rounded.
    """

    def __init__(self, most_delays: int | None = None) -> None:
        self._most = most_delays
        self._bits = 0  # leading bits of delays that are kept; 0: all
        self._points: dict[Point, int] = {}
        self._pairs: dict[tuple[int, int], int] = {}
        self._tally = _Waiting(_LONGEST + 1)
        self._delays = _Waiting(2)  # ns and how many

    @property
    def points(self) -> tuple[Point, ...]:
        """The points, in the order in which they were first seen."""
        return tuple(self._points)

    @property
    def error(self) -> float:
        """How far percentiles may be off, as a part of them; 0: they are exact."""
        self._settle_delays()
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
        rows = np.zeros((len(keys), _LONGEST + 1), np.int64)
        rows[:, 0] = rows[:, _PLACED] = 1
        rows[:, _PLACES] = hops["n"][steps.after[mine]]
        delays = hops["delta_ns"][steps.after[mine]]
        known = (delays != NO_TIME) & (delays >= 0)
        rows[:, _LONGEST] = np.where(known, delays, -1)
        self._tally.add(*_tallied(keys, rows))
        self._add_events(journey_set, ways, is_chosen, of_point)
        if self._tally.is_much:
            self._tally.settle(_tallied)
        counted = np.stack([delays[known], np.ones(int(known.sum()), np.int64)], axis=1)
        self._delays.add(keys[known], counted)
        if self._delays.is_much:
            self._settle_delays()

    def _add_events(
        self, journey_set: JourneySet, ways: NDArray[np.int8], is_chosen: NDArray[np.bool_],
        of_point: Rows,
    ) -> None:  # fmt: skip
        events = segment_events(journey_set)
        events = events[is_chosen[events["journey"]]]
        ends = of_point[events["from_point"]], of_point[events["to_point"]]
        keys = self._keys(journey_set, ways, events["journey"], *ends)
        rows = np.zeros((len(keys), _LONGEST + 1), np.int64)
        rows[:, _LONGEST] = -1
        for column, name in enumerate(_COUNTS[1:], 1):
            rows[:, column] = events["event"] == _OF_EVENT[name]
        # Where nothing went on, the place is one after that of the hop where it ended.
        gone = np.isin(events["event"], (Event.LOST, Event.MISSED))
        ended = last_at(journey_set)[events["journey"][gone]]
        rows[gone, _PLACES] = journey_set.hops["n"][ended] + 1
        rows[gone, _PLACED] = 1
        self._tally.add(*_tallied(keys, rows))

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

    def _settle_delays(self) -> None:
        delays = self._delays
        delays.settle(self._counted)
        while self._most is not None and len(delays.keys) > self._most:
            coarser = [bits for bits in _BITS if not self._bits or bits < self._bits]
            if not coarser:
                return
            self._bits = coarser[0]
            delays.keys, delays.rows = self._counted(delays.keys, delays.rows)

    def _counted(
        self, keys: NDArray[np.int64], rows: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        # Equal delays of one key as one, by key and delay.
        ns = _rounded(rows[:, 0], self._bits)
        order = np.lexsort((ns, keys))
        keys, ns, counts = keys[order], ns[order], rows[order, 1]
        new = np.ones(len(keys), np.bool_)
        new[1:] = (np.diff(keys) != 0) | (np.diff(ns) != 0)
        starts = np.flatnonzero(new)
        if not len(starts):
            return keys, rows
        return keys[starts], np.stack([ns[starts], np.add.reduceat(counts, starts)], axis=1)

    def table(self) -> StructuredArray:
        """Return a record of FLOW_SEGMENT_DTYPE for each flow, way and pair of points."""
        self._tally.settle(_tallied)
        self._settle_delays()
        keys, values = self._tally.keys, self._tally.rows
        table = np.zeros(len(keys), FLOW_SEGMENT_DTYPE)
        pairs = np.array([*self._pairs, (-1, -1)], np.int64)[keys & ((1 << 29) - 1)]
        table["flow"], table["way"] = (keys >> 31) - 1, ((keys >> 29) & 3) - 1
        table["from_point"], table["to_point"] = pairs[:, 0], pairs[:, 1]
        for column, name in enumerate(_COUNTS):
            table[name] = values[:, column]
        self._fill_delays(table)
        place = values[:, _PLACES] / np.maximum(values[:, _PLACED], 1)
        place[values[:, _PLACED] == 0] = np.inf
        # Of those at one place on the way the order of the points, not that of windows, decides.
        ends = table["to_point"], table["from_point"]
        order = np.lexsort((*ends, place, table["way"], table["flow"]))
        table = table[order]
        begins = np.flatnonzero(np.diff(keys[order] >> 29, prepend=-1))
        sizes = np.diff(np.append(begins, len(table)))
        table["n"] = np.arange(len(table)) - np.repeat(begins, sizes) + 1
        return table

    def _fill_delays(self, table: Any) -> None:
        ns, counts = self._delays.rows[:, 0], self._delays.rows[:, 1]
        rows = np.searchsorted(self._tally.keys, self._delays.keys)
        count = np.bincount(rows, counts, len(table)).astype(np.int64)
        table["timed"] = count
        longest = self._tally.rows[:, _LONGEST]
        for name in _PERCENTILES:
            table[name] = NO_TIME
        table["max_ns"] = np.where(longest >= 0, longest, NO_TIME)
        there = np.flatnonzero(count)
        below, total = np.cumsum(count) - count, np.cumsum(counts)
        for name, share in _PERCENTILES.items():
            # Nearest rank: the least delay that at least this share of packets did not exceed. A
            # rounded one is not above the longest.
            rank = below[there] + np.maximum(np.ceil(share * count[there]).astype(np.int64), 1)
            found = ns[np.searchsorted(total, rank)]
            table[name][there] = np.minimum(found, longest[there])


class _Waiting:
    """Rows by key, ascending, and rows that wait until they are as many, to be put with them."""

    def __init__(self, columns: int) -> None:
        self.keys = np.empty(0, np.int64)
        self.rows = np.empty((0, columns), np.int64)
        self._waiting: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []

    def add(self, keys: NDArray[np.int64], rows: NDArray[np.int64]) -> None:
        """Add rows, in any order."""
        self._waiting.append((keys, rows))

    @property
    def is_much(self) -> bool:
        """Whether enough waits for `settle` to be worth it."""
        return sum(len(keys) for keys, _ in self._waiting) >= max(_FEW, len(self.keys))

    def settle(self, together: Callable[..., tuple[NDArray[np.int64], NDArray[np.int64]]]) -> None:
        """Put what waits together with what is there, as a function of keys and rows does."""
        if not self._waiting:
            return
        parts = [(self.keys, self.rows), *self._waiting]
        self._waiting = []
        self.keys, self.rows = together(
            np.concatenate([keys for keys, _ in parts]), np.concatenate([rows for _, rows in parts])
        )


def _tallied(
    keys: NDArray[np.int64], rows: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    # Equal keys as one, ascending: sums, and of the last column the greatest.
    if not len(keys):
        return keys, rows
    order = np.argsort(keys, kind="stable")
    keys, rows = keys[order], rows[order]
    starts = np.flatnonzero(np.diff(keys, prepend=keys[0] - 1))
    found = np.add.reduceat(rows, starts, axis=0)
    found[:, -1] = np.maximum.reduceat(rows[:, -1], starts)
    return keys[starts], found


def _rounded(values: NDArray[np.int64], bits: int) -> NDArray[np.int64]:
    # To the middle of the numbers that share so many leading bits.
    if not bits:
        return values
    length = np.frexp(values.astype(np.float64))[1].astype(np.int64)
    shift = np.maximum(length - bits, 0)
    found: NDArray[np.int64] = ((values >> shift) << shift) + ((1 << shift) >> 1)
    return np.where(shift > 0, found, values)
