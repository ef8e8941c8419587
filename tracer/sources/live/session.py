"""A running engine as a source of observation batches, with its clock and its names."""

import socket
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tracer.core.closing import Closing
from tracer.sources.live.clock import Clock
from tracer.sources.live.engine import Attached, Engine, EventArray, Stats
from tracer.sources.live.namespaces import Names
from tracer.sources.live.reader import Reader, together

if TYPE_CHECKING:
    from tracer.core.batch import ObservationBatch
    from tracer.sources.live.reuse import Reuse

#: Events are held back until all that came so much later (ns) was read: what the kernel decides
#: about a packet comes after the packet, and one CPU's events may come into the ring before
#: another's earlier ones.
HOLD_NS = 5_000_000


class NetnsNames:
    """Names as observation points show them: the host's own namespace has none."""

    def __init__(self) -> None:
        self._names = Names()
        self._names.learn()

    def netns(self, inum: int, time_ns: int) -> str | None:
        """Return a namespace's name at a time (UTC), None for the host's own.

        `netns:INODE` where it has no name, or which one it was is not known.
        """
        found = self._names.namespace(inum, time_ns)
        if found is not None and found.is_host:
            return None
        return found.name if found is not None and found.name else f"netns:{inum}"

    def turns(self, inums: Sequence[int], first_ns: int, last_ns: int) -> list[int]:
        """Return when numbers of namespaces went to others between two times, in order."""
        return self._names.turns(inums, first_ns, last_ns)


class Session(Closing):
    """Attaches an engine that is loaded, and gives what it sees as observations.

    Events are read by a thread from `attach` on, so nothing is lost while the caller is busy.
    `until_ns`: everything before this time (UTC) was handed out. `frames`: the events behind the
    rows of the last batch, with `snap_len` bytes of each frame in their field `snap`, if asked for.
    """

    def __init__(self, engine: Engine, host: str | None = None) -> None:
        self._engine = engine
        self._host = host or socket.gethostname()
        self._clock = Clock()
        self._names: NetnsNames | None = None
        self._reuse: Reuse | None = None
        self._reader = Reader(engine)
        self._held: EventArray = np.empty(0, engine.dtype)
        self._routes: EventArray = self._held  # the latest that were given out
        self._frame = 1
        self.until_ns = time.time_ns()
        self.frames: EventArray = np.empty(0, engine.dtype)

    def attach(self) -> Attached:
        """Attach everything; from its return on, no packet is missed."""
        attached = self._engine.attach()
        self._reader.start()
        return attached

    def learn(self) -> None:
        """Look up the names of all namespaces now, while they are there."""
        self._names = NetnsNames()

    def observations(self, timeout: float) -> "ObservationBatch":
        """Return the observations that are ripe, in order of time and named.

        Waits up to `timeout` seconds for events. Raises what the engine raised.
        """
        events = self._together(self._reader.take(timeout))
        young = events["time_ns"] >= self._look(HOLD_NS)
        if young.any():
            self._held, events = events[young], events[~young]
        return self._batch(events)

    def rest(self) -> "ObservationBatch":
        """Return everything left after the last packet; no event is read from then on."""
        self._reader.stop()
        events = self._together(self._reader.take(0.0))
        self._look(0)
        return self._batch(events)

    @property
    def is_holding(self) -> bool:
        """Whether events are held that are ripe within `HOLD_NS`."""
        return len(self._held) > 0

    def _look(self, hold_ns: int) -> int:
        # Until when all is known (CLOCK_MONOTONIC), which is less than it should be where the
        # reader was not given a CPU: to take what it has not read for absent is to call it lost.
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        until = min(now, self._reader.until_ns) - hold_ns
        # By the clock of the events: were the wall clock read now, what this thread waited for a
        # CPU in between would seem to be known, too.
        self.until_ns = int(self._clock.epoch_ns(np.array([until]))[0])
        return until

    def _together(self, events: EventArray) -> EventArray:
        from tracer.sources.live.untranslated import with_untranslated  # loads what compiles

        held, self._held = self._held, self._held[:0]
        events = with_untranslated(events)
        if not len(held):
            return events
        return together([held, events]) if len(events) else held

    def _batch(self, events: EventArray) -> "ObservationBatch":
        from tracer.sources.live.observations import to_batch  # loads what compiles
        from tracer.sources.live.reuse import Reuse
        from tracer.sources.live.unsaid_reasons import with_reasons

        events = with_reasons(events)
        self._reuse = self._reuse or Reuse()
        if self._names is None:
            self.learn()
        assert self._names is not None
        self._clock.resample()
        if (events["time_ns"][1:] < events["time_ns"][:-1]).any():  # CPUs overtake each other
            events = events[np.argsort(events["time_ns"], kind="stable")]
        batch = to_batch(
            events,
            self._clock.epoch_ns(events["time_ns"]),
            self._names,
            host=self._host,
            engine=self._engine.name,
            first_frame=self._frame,
            reuse=self._reuse,
            routes=self._routes_around(events),
        )
        if self._engine.dtype.names and "snap" in self._engine.dtype.names:
            self.frames = events[batch.packets["frame"] - self._frame] if len(batch) else events[:0]
        self._frame += len(events)
        return batch

    def _routes_around(self, events: EventArray) -> EventArray:
        # A packet, its route, and what came of it may be in two batches.
        from tracer.sources.live.observations import ROUTE_WINDOW_NS, routes_between

        if not len(events):
            return self._routes[:0]
        first, last = (int(events["time_ns"][place]) for place in (0, -1))
        before = routes_between(self._routes, first - ROUTE_WINDOW_NS, first)
        self._routes = routes_between(events, last - ROUTE_WINDOW_NS, last)
        return together([before, routes_between(self._held, last, last + ROUTE_WINDOW_NS)])

    @property
    def engine_name(self) -> str:
        """Which engine it is."""
        return self._engine.name

    def stats(self) -> Stats:
        """Return the engine's counters."""
        return self._engine.stats()

    def close(self) -> None:
        """Stop reading and detach everything."""
        self._reader.stop()
        self._engine.close()
