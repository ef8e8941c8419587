"""Windows of rows → journeys, each given out once and numbered as if all rows had been there.

A window is joined with what former ones left open, and with what was given out a while ago, for
late packets (an answer, a retransmission, an ICMP error) refer to it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from tracer.core.batch import ObservationBatch
from tracer.core.enums import Outcome
from tracer.core.exchanges import exchange_roots
from tracer.core.journeys import NUMBERS_DTYPE, JourneySet
from tracer.core.reused import ReusedMemory
from tracer.core.subset import chosen_of
from tracer.correlate.flows.known import SeenFlows
from tracer.correlate.flows.questions import want_answers
from tracer.correlate.hashing import Codes, factorise
from tracer.correlate.known import Joined, Known
from tracer.correlate.result import Judge
from tracer.correlate.windows.passes import Survey, hops_left, kept_rows, latest, survey
from tracer.correlate.windows.together import Held, Together, Window, together

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


LAST = Window([], [], None)


class Ordered:
    """Joins windows; `take` gives out the exchanges that are over."""

    def __init__(
        self,
        joined: Callable[[ObservationBatch, Known, Judge], Joined],
        horizon: Horizon,
        known: Known,
    ) -> None:
        self._joined = joined
        self._horizon = horizon
        self._held: list[Held] = []  # of each capture
        self._memory = ReusedMemory()
        self._next = 1  # the least number that is free
        self._taken = np.empty(0, np.int64)  # numbers beyond it that are not, ascending
        self._known = known
        self._added_ns = dict(known.clocks.added_ns)  # to the stamps that windows are read by
        self._spread_ns = 0

    @property
    def is_empty(self) -> bool:
        """Whether all that arrived was given out."""
        return not any((held.number == 0).any() for held in self._held)

    def take(self, window: Window) -> JourneySet | None:
        """Return the exchanges that are over, None when there are none."""
        of = together(self._held, window, self._memory)
        self._held = []
        judged: list[tuple[Survey, Mask, int]] = []

        def judge(found: JourneySet) -> tuple[Mask, Mask]:
            told, over, cut_ns = self._judged(found, of, window.until_ns)
            judged.append((told, over, cut_ns))
            return over, (told.given == 0) & ~over

        found, forward, seen, ends = self._joined(of.batch, self._known, judge)
        ((told, over, cut_ns),) = judged
        self._known.ways.add_ends(ends[over & _is_open(found)])
        numbers = self._numbered(told.given)
        flows = self._flow_numbers(found, forward, seen, cut_ns)
        known = np.where((told.given > 0) | over, numbers, 0)
        is_recent = self._is_recent(found, known, told.late, cut_ns)
        last = of.last[:0] if cut_ns == _LATEST else of.last
        rows, number = kept_rows(found.hops, known, is_recent, told.given, of, last)
        held = of.batch.take(rows)
        for start, stop in pairwise(np.searchsorted(rows, of.bounds).tolist()):
            self._held.append(Held(held.between(start, stop), number[start:stop]))
        return self._part(found, numbers, over, flows) if over.any() else None

    def _judged(
        self, found: JourneySet, of: Together, until_ns: int | None
    ) -> tuple[Survey, Mask, int]:
        # What there is of each journey, which are over, and what was last seen before which time.
        told = survey(found.hops, len(found.journeys), of.number, of.is_next)
        off = [abs(c.offset_ns - self._added_ns.get(c.clock, 0)) for c in found.clocks]
        self._spread_ns = max([self._spread_ns, *off])
        # Stamps of the clock that is furthest ahead are complete up to that much less.
        now_ns = _LATEST if until_ns is None else until_ns - 2 * self._spread_ns
        cut_ns = self._cut(told.times_ns, now_ns)
        return told, self._over(found, told, now_ns, cut_ns), cut_ns

    def _cut(self, times: Codes, now_ns: int) -> int:
        # What was last seen before it is over.
        if now_ns == _LATEST:
            return now_ns
        quiet, rows = now_ns - self._horizon.quiet_ns, self._horizon.quiet_rows
        return latest(times, times[:0], rows, quiet)

    def _over(self, found: JourneySet, told: Survey, now_ns: int, cut_ns: int) -> Mask:
        journeys = found.journeys
        fresh = told.given == 0
        roots = exchange_roots(found)
        roots = np.where(fresh[roots], roots, np.arange(len(roots)))
        last = np.full(len(journeys), np.iinfo(np.int64).min)
        np.maximum.at(last, roots, journeys["last_ns"].copy())  # aligned: a tenth of the time
        last[roots[told.unfinished]] = _LATEST
        over: Mask = fresh & (last[roots] <= cut_ns)
        over[told.unfinished] = False
        if now_ns == _LATEST:
            return over
        first = found.hops["row"][journeys["first_hop"]]
        asked = want_answers(found.observations.packets, journeys["kind"], first)
        asked &= over & (journeys["reply"] < 0)
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
        # `found` is not used any more.
        chosen = np.flatnonzero(over)
        part = chosen_of(found, chosen, hops_left(found.hops, over))
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

    def _is_recent(self, found: JourneySet, known: Codes, late: Codes, cut_ns: int) -> Mask:
        # Of the journeys that were given out (`known`), the latest: they may be referred to.
        last = found.journeys["last_ns"].copy()
        if cut_ns == _LATEST:
            return np.zeros(len(last), np.bool_)
        since = cut_ns - self._horizon.context_ns
        rows = np.where(known > 0, found.journeys["n_hops"] - late, 0)
        recent: Mask = last > latest(last, rows, self._horizon.context_rows, since)
        return recent


def _is_open(found: JourneySet) -> Mask:
    # Journeys that ended because nobody was seen to go on, not because they were answered.
    outcomes = np.isin(found.journeys["outcome"], (Outcome.DELIVERED, Outcome.UNFINISHED))
    open_: Mask = outcomes & (found.journeys["reply"] < 0)
    return open_
