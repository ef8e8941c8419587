"""Journeys of captures too large to hold: windows of time, each exchange given out once.

The captures are read side by side; what is complete up to a time is joined together with what an
earlier window left open, so that memory is bounded by the window and not by the captures.
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from tracer.core.batch import ObservationBatch, concat
from tracer.core.conntrack import ConntrackEntry
from tracer.core.journeys import JourneySet
from tracer.correlate.join import JoinOptions, join
from tracer.correlate.settling import Settling

#: Rows of a window; about 1 kB of memory each while they are joined.
WINDOW_ROWS = 500_000
#: An exchange nothing of which was seen for this long is over.
SETTLE_NS = 2_000_000_000
_DEFAULT = JoinOptions()


class _Source:
    """One capture's batches, given out up to a time."""

    def __init__(self, batches: Iterable[ObservationBatch]) -> None:
        self._batches = iter(batches)
        self._held: list[ObservationBatch] = []
        self.is_done = False
        self.until_ns = np.iinfo(np.int64).min

    @property
    def rows(self) -> int:
        """Rows that are held."""
        return sum(len(batch) for batch in self._held)

    def load(self) -> None:
        """Hold one more batch, or know that there is none."""
        batch = next(self._batches, None)
        if batch is None:
            self.is_done = True
        elif len(batch):
            self._held.append(batch)
            self.until_ns = max(self.until_ns, int(batch.packets["time_ns"].max()))

    def give(self, until_ns: int | None) -> list[ObservationBatch]:
        """Return what is held up to a time (None: all), and hold it no longer."""
        if until_ns is None:
            whole, self._held = self._held, []
            return whole
        given: list[ObservationBatch] = []
        kept: list[ObservationBatch] = []
        for batch in self._held:
            early = batch.packets["time_ns"] <= until_ns
            for some, rows in ((given, early), (kept, ~early)):
                if rows.any():
                    some.append(batch if rows.all() else batch.take(np.flatnonzero(rows)))
        self._held = kept
        return given


def windows(
    captures: Sequence[Iterable[ObservationBatch]], rows: int = WINDOW_ROWS
) -> Iterator[tuple[ObservationBatch, int]]:
    """Yield (observations, time) of all captures together, complete up to the time (ns, stamps).

    `captures` gives each capture's batches in file order. A window has `rows` rows or more: as many
    as it takes until every capture has been read up to one time.
    """
    sources = [_Source(batches) for batches in captures]
    while True:
        for source in sources:
            if not source.is_done and not source.rows:
                source.load()
        live = [source for source in sources if not source.is_done]
        if not live:
            rest = [batch for source in sources for batch in source.give(None)]
            if rest:
                whole = concat(rest)
                yield whole, int(whole.packets["time_ns"].max())
            return
        behind = min(live, key=lambda source: source.until_ns)
        if sum(source.rows for source in sources) < rows or not behind.rows:
            behind.load()
            continue
        given = [batch for source in sources for batch in source.give(behind.until_ns)]
        yield concat(given), behind.until_ns
        behind.load()


def join_windows(
    captures: Sequence[Iterable[ObservationBatch]],
    conntrack: Sequence[ConntrackEntry] = (),
    options: JoinOptions = _DEFAULT,
    rows: int = WINDOW_ROWS,
    settle_ns: int = SETTLE_NS,
) -> Iterator[JourneySet]:
    """Yield the journeys of captures in windows, the same as `join` finds in all of them at once.

    Journeys are numbered on (`first_journey`), flows keep their numbers; an exchange is given out
    whole when nothing of it was seen for `settle_ns`. References to journeys given out earlier
    (a retransmission after more than that) are lost.
    """
    spread = 0

    def joined(batch: ObservationBatch, _: Sequence[ConntrackEntry]) -> JourneySet:
        nonlocal spread
        found = join(batch, conntrack, options)
        spread = max([spread, *(abs(clock.offset_ns) for clock in found.clocks)])
        return found

    settling = Settling(joined, settle_ns, context_ns=settle_ns)
    for number, (batch, until_ns) in enumerate(windows(captures, rows)):
        if not number:
            joined(batch, ())  # tells how far apart the clocks are, so what is late by them
        settling.push(batch)
        # Stamps of the clock that is furthest ahead are complete up to that much less.
        found = settling.take(until_ns - 2 * spread)
        if found is not None:
            yield found
    rest = settling.flush()
    if rest is not None:
        yield rest
