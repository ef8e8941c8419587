"""Windows of rows → journeys, each given out once and numbered as if all rows had been there.

A window is joined with what former ones left open, and with what was given out a while ago, for
late packets (an answer, a retransmission, an ICMP error) refer to it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise, zip_longest

import numpy as np
from numpy.typing import NDArray

from tracer.core.batch import ObservationBatch, concat
from tracer.core.enums import Outcome
from tracer.core.exchanges import exchange_roots
from tracer.core.journeys import NUMBERS_DTYPE, JourneySet
from tracer.core.subset import chosen_of
from tracer.correlate.flows.exchange import ANSWERABLE
from tracer.correlate.flows.known import SeenFlows
from tracer.correlate.hashing import Codes, factorise
from tracer.correlate.known import Joined, Known

Mask = NDArray[np.bool_]
_LATEST = int(np.iinfo(np.int64).max)


@dataclass(frozen=True, slots=True)
class Horizon:
    """How long is waited for what may still come (ns, and rows, whichever is less).

    `quiet`: an exchange nothing of which was seen for so long is over; `answer`: a question for
    which no answer came; `context`: what was given out is kept to be referred to.
    """

    quiet_ns: int = 4_000_000_000  # a packet that waits for a neighbour's address is as quiet
    quiet_rows: int = 120_000
    answer_ns: int = 10_000_000_000
    answer_rows: int = 30_000
    context_ns: int = 5_000_000_000
    context_rows: int = 30_000


@dataclass(frozen=True, slots=True)
class Window:
    """Batches of each capture, up to `until_ns` by their stamps (None: all that were left).

    `following` has the next row of each capture, which is not part of it: the capture goes on.
    """

    given: list[list[ObservationBatch]]
    following: list[list[ObservationBatch]]
    until_ns: int | None


LAST = Window([], [], None)


@dataclass(frozen=True, slots=True)
class _Hops:
    """The row and the journey of each hop."""

    row: Codes
    journey: Codes


class Ordered:
    """Joins windows; `take` gives out the exchanges that are over."""

    def __init__(
        self,
        joined: Callable[[ObservationBatch, Known], Joined],
        horizon: Horizon,
        known: Known,
    ) -> None:
        self._joined = joined
        self._horizon = horizon
        self._held: list[ObservationBatch] = []  # of each capture
        self._number: list[Codes] = []  # of the journey of each held row; 0: not given out
        self._next = 1  # the least number that is free
        self._taken = np.empty(0, np.int64)  # numbers beyond it that are not, ascending
        self._known = known
        self._added_ns = dict(known.clocks.added_ns)  # to the stamps that windows are read by
        self._spread_ns = 0

    @property
    def is_empty(self) -> bool:
        """Whether all that arrived was given out."""
        return not any((number == 0).any() for number in self._number)

    def take(self, window: Window) -> JourneySet | None:
        """Return the exchanges that are over, None when there are none."""
        batch, number, is_next, bounds = self._together(window)
        found, forward, seen, ends = self._joined(batch, self._known)
        # Side by side, for they are read many times.
        hops = _Hops(found.hops["row"].copy(), found.hops["journey"].copy())
        off = [abs(c.offset_ns - self._added_ns.get(c.clock, 0)) for c in found.clocks]
        self._spread_ns = max([self._spread_ns, *off])
        # Stamps of the clock that is furthest ahead are complete up to that much less.
        now_ns = _LATEST if window.until_ns is None else window.until_ns - 2 * self._spread_ns
        given = _numbers_given(found, hops, number)
        cut_ns = self._cut(found, is_next[hops.row], now_ns)
        over = self._over(found, hops.journey[is_next[hops.row]], given, now_ns, cut_ns)
        self._known.ways.add_ends(ends[over & _is_open(found)])
        numbers = self._numbered(given)
        flows = self._flow_numbers(found, forward, seen, cut_ns)
        part = self._part(found, numbers, over, flows) if over.any() else None
        known = _by_row(batch, hops, np.where((given > 0) | over, numbers, 0), -1)
        known[_came_late(hops, given, number, is_next)] = 0
        last = _by_row(batch, hops, found.journeys["last_ns"], np.iinfo(np.int64).min)
        self._keep(batch, last, is_next, known, cut_ns, bounds)
        return part

    def _together(self, window: Window) -> tuple[ObservationBatch, Codes, Mask, Codes]:
        # Capture after capture, as when all are read one after the other; where each ends.
        none: list[ObservationBatch] = []
        parts: list[ObservationBatch] = []
        numbers: list[Codes] = []
        follows: list[Mask] = []
        bounds = [0]
        for held, given, following in zip_longest(
            zip(self._held, self._number, strict=True), window.given, window.following
        ):
            before = (ObservationBatch(), np.empty(0, np.int64)) if held is None else held
            numbers.append(before[1])
            fresh = [*(given or none), *(following or none)]
            numbers += [np.zeros(len(batch), np.int64) for batch in fresh]
            size = len(before[0]) + sum(len(batch) for batch in given or none)
            follows.append(np.zeros(size, np.bool_))
            follows += [np.ones(len(batch), np.bool_) for batch in following or none]
            parts += [before[0], *fresh]
            bounds.append(bounds[-1] + len(before[0]) + sum(len(batch) for batch in fresh))
        self._held, self._number = [], []
        window.given.clear()  # what is in the batch now is not needed twice
        return concat(parts), np.concatenate(numbers), np.concatenate(follows), np.array(bounds)

    def _cut(self, found: JourneySet, is_next: Mask, now_ns: int) -> int:
        # What was last seen before it is over.
        if now_ns == _LATEST:
            return now_ns
        times = found.hops["time_ns"]
        quiet = now_ns - self._horizon.quiet_ns
        rows = self._horizon.quiet_rows
        late = times[(times > quiet) & ~is_next]
        if len(late) > rows:
            quiet = int(np.partition(late, -rows)[-rows])
        return quiet

    def _over(
        self, found: JourneySet, unfinished: Codes, given: Codes, now_ns: int, cut_ns: int
    ) -> Mask:
        # `unfinished`: journeys that have a row of the next window.
        journeys = found.journeys
        fresh = given == 0
        roots = exchange_roots(found)
        roots = np.where(fresh[roots], roots, np.arange(len(roots)))
        last = np.full(len(journeys), np.iinfo(np.int64).min)
        np.maximum.at(last, roots, journeys["last_ns"])
        last[roots[unfinished]] = _LATEST
        over: Mask = fresh & (last[roots] <= cut_ns)
        over[unfinished] = False
        if now_ns == _LATEST:
            return over
        asked = over & np.isin(journeys["kind"], ANSWERABLE) & (journeys["reply"] < 0)
        waits = np.flatnonzero(asked & (journeys["last_ns"] > now_ns - self._horizon.answer_ns))
        rows = np.cumsum(journeys["n_hops"][waits][::-1])[::-1]
        waits = waits[rows <= self._horizon.answer_rows]
        over[np.isin(roots, roots[waits])] = False
        return over

    def _numbered(self, given: Codes) -> Codes:
        # Journeys are in the order of their first time: the free numbers in order.
        fresh = np.flatnonzero(given == 0)
        is_free = np.ones(len(fresh) + len(self._taken), np.bool_)
        taken = self._taken - self._next
        is_free[taken[taken < len(is_free)]] = False
        numbers = given.copy()
        numbers[fresh] = self._next + np.flatnonzero(is_free)[: len(fresh)]
        return numbers

    def _flow_numbers(
        self, found: JourneySet, forward: Mask, seen: SeenFlows, cut_ns: int
    ) -> Codes:
        # The lasting number of each flow that has journeys which began until the cut.
        journeys = found.journeys
        begun = np.flatnonzero((journeys["flow"] >= 0) & (journeys["first_ns"] <= cut_ns))
        flow, hops = journeys["flow"][begun], found.hops["row"]
        first = journeys["first_hop"][begun]
        rows = np.concatenate([hops[first], hops[first + journeys["n_hops"][begun] - 1]])
        of_row, ways = np.tile(flow, 2), np.tile(forward[begun], 2)
        later = found.observations.packets["frag_offset"][rows] > 0
        if later.any():  # fragments that have no ports say nothing where others do
            says = ~later | ~np.isin(of_row, of_row[~later])
            rows, of_row, ways = rows[says], of_row[says], ways[says]
        known, _ = seen.find(rows)
        numbers = np.full(len(found.flows) + 1, _LATEST)
        np.minimum.at(numbers, of_row[known >= 0], known[known >= 0])
        fresh = flow[numbers[flow] == _LATEST].astype(np.uint64)
        fresh = fresh[factorise(fresh)[1]].astype(np.int64)
        numbers[fresh] = self._known.flows.add(found.flows[fresh])
        numbers[-1] = -1  # of no flow
        seen.learn(rows, numbers[of_row], ways)
        return numbers

    def _part(self, found: JourneySet, numbers: Codes, over: Mask, flows: Codes) -> JourneySet:
        chosen = np.flatnonzero(over)
        part = chosen_of(found, chosen)
        part.numbers = np.empty(len(chosen), NUMBERS_DTYPE)
        part.numbers["journey"] = numbers[chosen]
        with_none = np.append(numbers, -1)
        for name in (NUMBERS_DTYPE.names or ())[1:]:
            part.numbers[name] = with_none[found.journeys[name][chosen]]
        part.journeys["flow"] = flows[part.journeys["flow"]]
        part.flows = self._known.flows.counted(part.journeys["flow"])
        taken = np.sort(np.concatenate([self._taken, numbers[chosen]]))
        settled = int((taken == np.arange(self._next, self._next + len(taken))).sum())
        self._next += settled
        self._taken = taken[settled:]
        return part

    def _keep(
        self, batch: ObservationBatch, last: Codes, is_next: Mask, known: Codes, cut_ns: int,
        bounds: Codes,
    ) -> None:  # fmt: skip
        # What was not given out, and the latest of what was; of each capture and point the last
        # row. `last`: when the journey of each row was last seen.
        most = self._horizon.context_rows
        since = cut_ns if cut_ns == _LATEST else cut_ns - self._horizon.context_ns
        recent = last[(known > 0) & (last > since)]
        if len(recent) > most:
            since = int(np.partition(recent, -most)[-most])
        kept = (known == 0) | ((known > 0) & (last > since))
        if cut_ns != _LATEST:
            kept[_last_rows(batch, ~is_next, bounds)] = True
        rows = np.flatnonzero(kept & ~is_next)
        held, known = batch.take(rows), known[rows]
        places = np.searchsorted(rows, bounds).tolist()
        for start, stop in pairwise(places):
            self._held.append(held.between(start, stop))
            self._number.append(known[start:stop])


def _last_rows(batch: ObservationBatch, own: Mask, bounds: Codes) -> Codes:
    # The last of the window's own rows of each capture, and of each point.
    rows = np.flatnonzero(own)
    if not len(rows):
        return rows
    ends = rows[np.searchsorted(rows, bounds[1:]) - 1]
    of_point = np.full(len(batch.points) + 1, -1)
    of_point[batch.packets["point"][rows]] = rows  # of several the last one stays
    return np.concatenate([ends[ends >= bounds[:-1]], of_point[of_point >= 0]])


def _is_open(found: JourneySet) -> Mask:
    # Journeys that ended because nobody was seen to go on, not because they were answered.
    outcomes = np.isin(found.journeys["outcome"], (Outcome.DELIVERED, Outcome.UNFINISHED))
    open_: Mask = outcomes & (found.journeys["reply"] < 0)
    return open_


def _by_row(batch: ObservationBatch, hops: _Hops, values: Codes, otherwise: int) -> Codes:
    # A value of each row's journey; rows that are neither IP nor ARP are in none.
    out = np.full(len(batch), otherwise, np.int64)
    out[hops.row] = values[hops.journey]
    return out


def _numbers_given(found: JourneySet, hops: _Hops, number: Codes) -> Codes:
    # The number each journey was given out by, 0 for those that were not.
    given = np.zeros(len(found.journeys), np.int64)
    numbers = number[hops.row]
    known = np.flatnonzero(numbers > 0)[::-1]
    given[hops.journey[known]] = numbers[known]
    return given


def _came_late(hops: _Hops, given: Codes, number: Codes, is_next: Mask) -> Codes:
    # Rows of a journey that was given out without them: they become one of their own.
    rows = hops.row[(given > 0)[hops.journey]]
    late: Codes = rows[(number[rows] == 0) & ~is_next[rows]]
    return late
