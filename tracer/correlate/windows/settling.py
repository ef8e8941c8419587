"""A stream of observations → journeys, each given out once its exchange is over.

The same `join` as offline, over a window: what has not been given out yet, and what has been for
a while longer, because late packets (a retransmission, an ICMP error) refer to it.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from tracer.core.batch import ObservationBatch, concat
from tracer.core.conntrack import ConntrackEntry
from tracer.core.enums import Outcome
from tracer.core.exchanges import exchange_roots
from tracer.core.journeys import FLOW_DTYPE, JourneySet
from tracer.core.records import joined as put_together
from tracer.core.schema import StructuredArray
from tracer.core.subset import subset
from tracer.correlate.outcomes.watched import NEIGHBOUR_NS, is_leaving

Join = Callable[[ObservationBatch, Sequence[ConntrackEntry]], JourneySet]
#: An answered exchange is over when nothing of it was seen for this long.
QUIET_NS = 50_000_000
#: How long observations are kept after they were given out, and how many of them: joining them
#: again with each new one is what following costs.
CONTEXT_NS = 2_000_000_000
CONTEXT_ROWS = 8_000
LOST_REASON = "the tracer lost events at this time"
_NEVER = np.iinfo(np.int64).max
_TURNED = (
    ("src_hi", "nat_dst_hi"), ("src_lo", "nat_dst_lo"), ("sport", "nat_dport"),
    ("dst_hi", "nat_src_hi"), ("dst_lo", "nat_src_lo"), ("dport", "nat_sport"),
    ("icmp_id", "nat_icmp_id"),
)  # fmt: skip


class Settling:
    """Joins what is pushed; `take` gives the exchanges that are over, `flush` all that is left."""

    def __init__(self, join: Join, settle_ns: int, context_ns: int = CONTEXT_NS) -> None:
        self._join = join
        self._settle_ns = settle_ns
        self._context_ns = context_ns
        self._pending = ObservationBatch()
        self._given = np.empty(0, bool)  # rows of _pending that were given out
        self._last_ns = np.empty(0, np.int64)  # of each row, when its journey was seen last
        self._arrived: list[ObservationBatch] = []
        self._lost: list[tuple[int, int]] = []
        self._flows = _FlowNumbers()
        self._next_journey = 1
        self.due_ns = _NEVER

    def push(self, batch: ObservationBatch) -> None:
        """Add observations; they need not be in order of time."""
        if len(batch):
            self._arrived.append(batch)

    def lost_between(self, first_ns: int, last_ns: int) -> None:
        """Say that the tracer itself lost events between two times (UTC ns)."""
        self._lost.append((first_ns, last_ns))

    @property
    def has_news(self) -> bool:
        """Whether something was pushed since the last `take`."""
        return bool(self._arrived)

    @property
    def is_empty(self) -> bool:
        """Whether all that `take` has seen was given out."""
        return bool(self._given.all())

    @property
    def held(self) -> int:
        """How many observations are kept to be joined with those that come."""
        return len(self._pending) + sum(len(batch) for batch in self._arrived)

    def take(self, now_ns: int) -> JourneySet | None:
        """Return the exchanges that are over at `now_ns` (UTC ns), None when there are none.

        Sets `due_ns`, the earliest time at which `take` can give more if nothing is pushed.
        """
        return self._give(now_ns)

    def flush(self) -> JourneySet | None:
        """Return everything that was not given out yet."""
        return self._give(None)

    def _give(self, now_ns: int | None) -> JourneySet | None:
        self._take_in()
        self.due_ns = _NEVER
        if self._given.all():
            self._forget(now_ns)
            return None
        joined = self._join(self._pending, ())
        self._last_ns[joined.hops["row"]] = joined.journeys["last_ns"][joined.hops["journey"]]
        over = self._over(joined, now_ns)
        found = self._numbered(joined, over) if over.any() else None
        self._forget(now_ns)
        return found

    def _take_in(self) -> None:
        if not self._arrived:
            return
        arrived = sum(len(batch) for batch in self._arrived)
        self._pending = concat([self._pending, *self._arrived])
        self._given = np.concatenate([self._given, np.zeros(arrived, bool)])
        times = self._pending.packets["time_ns"][len(self._last_ns) :]
        self._last_ns = np.concatenate([self._last_ns, times])
        self._arrived.clear()

    def _over(self, joined: JourneySet, now_ns: int | None) -> NDArray[np.bool_]:
        journeys = joined.journeys
        rows = joined.hops["row"]
        given = np.zeros(len(journeys), bool)
        given[joined.hops["journey"][self._given[rows]]] = True
        # Rows that are in no journey (neither IP nor ARP) are over at once.
        in_journey = np.zeros(len(self._given), bool)
        in_journey[rows] = True
        self._given |= ~in_journey
        # What came late to a journey that was given out is not shown a second time.
        self._given[rows[given[joined.hops["journey"]]]] = True
        if now_ns is None:
            return ~given
        ends = self._ends(joined)
        fresh = ~given
        over: NDArray[np.bool_] = fresh & (ends <= now_ns)
        waiting = ends[fresh & ~over]
        self.due_ns = int(waiting.min()) if len(waiting) else _NEVER
        return over

    def _ends(self, joined: JourneySet) -> NDArray[np.int64]:
        # When each journey's exchange is over: sooner when it was answered.
        journeys, roots = joined.journeys, exchange_roots(joined)
        last = np.zeros(len(journeys), np.int64)
        order = np.argsort(journeys["last_ns"], kind="stable")
        last[roots[order]] = journeys["last_ns"][order]  # of several the latest stays
        answered = np.zeros(len(journeys), bool)
        arrived = (journeys["request"] >= 0) & (journeys["outcome"] == Outcome.DELIVERED)
        answered[roots[arrived & (journeys["reply"] < 0)]] = True
        wait = np.where(answered, min(QUIET_NS, self._settle_ns), self._settle_ns)
        wait[roots[self._waits(joined)]] = max(self._settle_ns, NEIGHBOUR_NS)
        ends: NDArray[np.int64] = (last + wait)[roots]
        return ends

    def _waits(self, joined: JourneySet) -> NDArray[np.int64]:
        # Journeys of packets that were on their way out when they were last seen: the kernel may be
        # asking for the next hop's address, and says so when it gives them up.
        journeys = joined.journeys
        ends = joined.hops["row"][journeys["first_hop"] + journeys["n_hops"] - 1]
        leaving = is_leaving(joined.observations)[ends]
        return np.flatnonzero(leaving & (journeys["reply"] < 0))

    def _numbered(self, joined: JourneySet, over: NDArray[np.bool_]) -> JourneySet:
        chosen = np.flatnonzero(over)
        self._given[joined.hops["row"][over[joined.hops["journey"]]]] = True
        found = subset(joined, chosen)
        found.first_journey = self._next_journey
        self._next_journey += len(chosen)
        found.journeys["flow"], found.flows = self._flows.renumber(
            joined.flows, found.journeys["flow"]
        )
        self._mark_lost(found)
        return found

    def _mark_lost(self, found: JourneySet) -> None:
        if not self._lost:
            return
        journeys = found.journeys
        open_end = np.isin(journeys["outcome"], (Outcome.VANISHED, Outcome.UNFINISHED))
        near = np.zeros(len(journeys), bool)
        for first_ns, last_ns in self._lost:
            near |= (journeys["first_ns"] <= last_ns) & (
                journeys["last_ns"] >= first_ns - self._settle_ns
            )
        affected = open_end & near
        # Arrived, but its answer may be what was lost, or that it was dropped there.
        silent = near & (journeys["outcome"] == Outcome.DELIVERED) & (journeys["reply"] < 0)
        if affected.any() or silent.any():
            found.reasons = (*found.reasons, LOST_REASON)
            journeys["outcome"][affected] = Outcome.LOST_BY_TRACER
            silent &= (journeys["reason"] >= 0) | (journeys["request"] < 0)
            journeys["reason"][affected | silent] = len(found.reasons) - 1

    def _forget(self, now_ns: int | None) -> None:
        if now_ns is None:
            self._pending, self._given = ObservationBatch(), np.empty(0, bool)
            self._last_ns = self._last_ns[:0]
            return
        old = now_ns - self._settle_ns - self._context_ns
        self._lost = [(first, last) for first, last in self._lost if last > old]
        given = self._last_ns[self._given]
        if len(given) > CONTEXT_ROWS:
            beyond = -CONTEXT_ROWS - 1
            old = max(old, int(np.partition(given, beyond)[beyond]))
        # Whole journeys: one that begins in the middle would say that its flow does.
        kept = np.flatnonzero(~self._given | (self._last_ns > old))
        if len(kept) < len(self._given):
            self._pending, self._given = self._pending.take(kept), self._given[kept]
            self._last_ns = self._last_ns[kept]


class _FlowNumbers:
    """Gives a flow the same number, and way, in every window it is seen in."""

    def __init__(self) -> None:
        self._numbers: dict[bytes, int] = {}
        self._records = np.empty(64, FLOW_DTYPE)  # with room for more

    def renumber(
        self, flows: StructuredArray, used: NDArray[np.int32]
    ) -> tuple[NDArray[np.int32], StructuredArray]:
        """Return the used flows' lasting numbers, and the records of all flows so far."""
        number = np.full(len(flows) + 1, -1, np.int32)  # one more: -1 stays -1
        for flow in np.unique(used[used >= 0]).tolist():
            record = flows[flow : flow + 1].copy()
            record["journeys"] = 0
            number[flow] = self._number(record)
        # What was given out before is never written to again.
        return number[used], self._records[: len(self._numbers)]

    def _number(self, record: StructuredArray) -> int:
        key, known = record.tobytes(), len(self._numbers)
        if key not in self._numbers:
            # Where its first packets are forgotten, a flow may seem to begin with an answer.
            turned = _turned(record).tobytes()
            if turned in self._numbers:
                return self._numbers[turned]
            if known == len(self._records):
                self._records = put_together([self._records] * 2, FLOW_DTYPE)
            self._records[known] = record[0]
            self._numbers[key] = known
        return self._numbers[key]


def _turned(record: StructuredArray) -> StructuredArray:
    # What the record is if the other end was the first to send: of an answer the last translation
    # undoes the first one.
    turned = record.copy()
    for one, other in _TURNED:
        turned[one], turned[other] = record[other], record[one]
    return turned
