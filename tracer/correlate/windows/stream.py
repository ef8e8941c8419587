"""Captures too large to hold, read side by side: windows of rows, complete up to a time.

What a window leaves open is joined again with the next one (`ordered`), so that memory is bounded
by the window and not by the captures.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from tracer.core.batch import Gap, ObservationBatch
from tracer.core.conntrack import ConntrackEntry
from tracer.core.journeys import JourneySet
from tracer.core.segments import segment_events
from tracer.correlate.clocks.known import KnownClocks, shifts
from tracer.correlate.hashing import Codes
from tracer.correlate.join import JoinOptions, join_knowing
from tracer.correlate.known import Joined, Known
from tracer.correlate.order.ways import KnownWays
from tracer.correlate.outcomes.gaps import merged
from tracer.correlate.result import Judge
from tracer.correlate.windows.ordered import LAST, Horizon, Ordered
from tracer.correlate.windows.together import Window

#: Rows of a window; about 1 kB of memory each while they are joined.
WINDOW_ROWS = 800_000
_DEFAULT = JoinOptions()
_DEFAULT_HORIZON = Horizon()


class _Held:
    """A batch, which has rows, with its stamps side by side."""

    def __init__(self, batch: ObservationBatch, times: Codes) -> None:
        self.batch, self.times = batch, times
        self.first_ns, self.last_ns = int(times.min()), int(times.max())

    def rows(self, until_ns: int) -> int:
        """Return how many rows are not later than a time."""
        if self.last_ns <= until_ns:
            return len(self.times)
        return 0 if self.first_ns > until_ns else int(np.count_nonzero(self.times <= until_ns))

    def split(self, until_ns: int, count: int) -> tuple[ObservationBatch, "_Held"]:
        """Return the rows up to a time, of which there are `count`, and the others."""
        early = self.times <= until_ns
        if early[:count].all():  # the usual order: no packet has to be copied
            late = self.batch.between(count, len(self.batch))
            return self.batch.between(0, count), _Held(late, self.times[count:])
        late = self.batch.take(np.flatnonzero(~early))
        return self.batch.take(np.flatnonzero(early)), _Held(late, self.times[~early])


class _Source:
    """One capture's batches, each with its stamps side by side, given out up to a time."""

    def __init__(self, batches: Iterable[ObservationBatch], added_ns: dict[str, int]) -> None:
        self._batches = iter(batches)
        self._added_ns = added_ns
        self._held: list[_Held] = []
        self.is_done = False
        self.until_ns = np.iinfo(np.int64).min

    @property
    def is_empty(self) -> bool:
        """Whether nothing is held."""
        return not self._held

    def load(self) -> None:
        """Hold one more batch, or know that there is none."""
        batch = next(self._batches, None)
        if batch is None:
            self.is_done = True
        elif len(batch):
            times = batch.packets["time_ns"].copy()
            if self._added_ns:
                times += shifts(self._added_ns, batch.points)[batch.packets["point"]]
            held = _Held(batch, times)
            self._held.append(held)
            self.until_ns = max(self.until_ns, held.last_ns)

    def rows(self, until_ns: int) -> int:
        """Return how many rows are held up to a time."""
        return sum(held.rows(until_ns) for held in self._held)

    def give(self, until_ns: int | None) -> list[ObservationBatch]:
        """Return what is held up to a time (None: all), and hold it no longer."""
        given: list[ObservationBatch] = []
        kept: list[_Held] = []
        for held in self._held:
            count = len(held.batch) if until_ns is None else held.rows(until_ns)
            if count == len(held.batch):
                given.append(held.batch)
            elif count == 0 or until_ns is None:
                kept.append(held)
            else:
                early, late = held.split(until_ns, count)
                given.append(early)
                kept.append(late)
        self._held = kept
        return given

    def next_row(self) -> list[ObservationBatch]:
        """Return the earliest row that is held, as a batch, which stays held; [] for none."""
        if not self._held:
            return []
        first = min(self._held, key=lambda held: held.first_ns)
        return [first.batch.take(np.array([first.times.argmin()]))]


def windows(
    captures: Sequence[Iterable[ObservationBatch]],
    rows: int = WINDOW_ROWS,
    added_ns: dict[str, int] | None = None,
) -> Iterator[Window]:
    """Yield the observations of all captures together, capture after capture, in windows of time.

    `captures` gives each capture's batches in file order. A window has `rows` rows or more: as many
    as it takes until every capture has been read up to one time. `added_ns`: to the stamps of some
    clocks (`clocks.known`).
    """
    sources = [_Source(batches, added_ns or {}) for batches in captures]
    while True:
        for source in sources:
            while not source.is_done and source.is_empty:
                source.load()
        live = [source for source in sources if not source.is_done]
        if not live:
            if not all(source.is_empty for source in sources):
                yield _window(sources, None)
            return
        until_ns = min(source.until_ns for source in live)
        for source in live:
            if source.until_ns == until_ns:
                source.load()  # so that its next row is known
        if sum(source.rows(until_ns) for source in sources) >= rows:
            yield _window(sources, until_ns)


def _window(sources: Sequence[_Source], until_ns: int | None) -> Window:
    given = [source.give(until_ns) for source in sources]
    return Window(given, [source.next_row() for source in sources], until_ns)


def join_windows(
    captures: Sequence[Iterable[ObservationBatch]],
    conntrack: Sequence[ConntrackEntry] = (),
    options: JoinOptions = _DEFAULT,
    rows: int = WINDOW_ROWS,
    horizon: Horizon = _DEFAULT_HORIZON,
    ahead: Callable[[Iterator[Window]], Iterator[Window]] = iter,
    gaps: Sequence[Gap] = (),
    *,
    ways: KnownWays | None = None,
    clocks: KnownClocks | None = None,
    with_events: bool = False,
) -> Iterator[JourneySet]:
    """Yield the journeys of captures in windows, as `join` finds and numbers them all at once.

    An exchange is given out whole, once nothing more is expected of it (`Horizon`), and refers by
    number to journeys given out before and after. `ahead` may read windows while others are joined.
    `gaps` is what the captures say they lost, as `judged_gaps` gives it: without, each window knows
    only what was said so far. `ways` are learned: captures that are read again know them from the
    first window on. `clocks` are learned, too; a `look` at the captures tells of them before. With
    events (`core.segments`), each part knows what happened to its journeys as others make it plain,
    that were given out before.
    """

    def joined(batch: ObservationBatch, known: Known, judged: Judge) -> Joined:
        batch.gaps = tuple(gaps) or batch.gaps
        of_window = join_knowing(batch, conntrack, options, known, judged)
        of_window.found.events = segment_events(of_window.found) if with_events else None
        return of_window

    known = Known(ways or KnownWays(), clocks or KnownClocks())
    ordered = Ordered(joined, horizon, known)
    coming = windows(captures, rows, dict(known.clocks.added_ns))
    for window in ahead(coming):
        found = ordered.take(window)
        if found is not None:
            yield found
        del found  # as large as a window: not held while the next one is joined
    while not ordered.is_empty:  # what came late to journeys that were given out
        found = ordered.take(LAST)
        if found is not None:
            yield found


def judged_gaps(
    captures: Sequence[Iterable[ObservationBatch]],
    gaps: Sequence[Gap],
    conntrack: Sequence[ConntrackEntry] = (),
    options: JoinOptions = _DEFAULT,
    rows: int = WINDOW_ROWS,
    horizon: Horizon = _DEFAULT_HORIZON,
    ahead: Callable[[Iterator[Window]], Iterator[Window]] = iter,
    *,
    ways: KnownWays | None = None,
    clocks: KnownClocks | None = None,
) -> tuple[Gap, ...]:
    """Return the gaps with what `join` says of them, which has all that is missing before it.

    A window has not: `captures` are joined in windows only to count. `ways` are learned meanwhile.
    """
    open_ = [replace(gap, explains=False) for gap in merged(gaps)]
    missing = np.zeros(len(open_), np.int64)
    parts = join_windows(
        captures, conntrack, options, rows, horizon, ahead, open_, ways=ways, clocks=clocks
    )
    for part in parts:
        missing += np.bincount(part.unseen["gap"], minlength=len(open_))
    return tuple(
        replace(gap, explains=count <= gap.packets)
        for gap, count in zip(open_, missing.tolist(), strict=True)
    )
