"""A running engine as a source of observation batches, with its clock and its names."""

import socket
from types import TracebackType
from typing import Self

import numpy as np

from tracer.core.batch import ObservationBatch
from tracer.sources.live.clock import Clock
from tracer.sources.live.engine import Attached, Engine, EventArray, Stats
from tracer.sources.live.namespaces import Names
from tracer.sources.live.observations import to_batch


class NetnsNames:
    """Names as observation points show them: the host's own namespace has none."""

    def __init__(self) -> None:
        self._names = Names()
        self._names.learn()

    def netns(self, inum: int) -> str | None:
        """Return a namespace's name, `netns:INODE` without one, None for the host's own."""
        found = self._names.namespace(inum)
        if found is not None and found.is_host:
            return None
        return found.name if found is not None and found.name else f"netns:{inum}"

    def device(self, inum: int, ifindex: int) -> str | None:
        """Return a device's name by namespace and ifindex, None when it is not known."""
        return self._names.device(inum, ifindex)


class Session:
    """Attaches an engine that is loaded, and gives what it sees as observations."""

    def __init__(self, engine: Engine, host: str | None = None) -> None:
        self._engine = engine
        self._host = host or socket.gethostname()
        self._clock = Clock()
        self._names: NetnsNames | None = None
        self._frame = 1

    def attach(self) -> Attached:
        """Attach everything; from its return on, no packet is missed."""
        return self._engine.attach()

    def events(self, timeout: float) -> EventArray:
        """Return raw events; waits up to `timeout` seconds for the first one."""
        return self._engine.drain(timeout)

    def observations(self, events: EventArray) -> ObservationBatch:
        """Return the observations among raw events, in order of time, named."""
        if self._names is None:
            self._names = NetnsNames()
        self._clock.resample()
        batch = to_batch(
            events,
            self._clock.epoch_ns(events["time_ns"]),
            self._names,
            host=self._host,
            engine=self._engine.name,
            first_frame=self._frame,
        )
        self._frame += len(events)
        return batch

    def utc_ns(self, ktime_ns: int) -> int:
        """Return the UTC nanoseconds of a CLOCK_MONOTONIC time."""
        return int(self._clock.epoch_ns(np.array([ktime_ns], np.uint64))[0])

    def stats(self) -> Stats:
        """Return the engine's counters."""
        return self._engine.stats()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._engine.close()
