"""A thread that empties the engine's ring, so that nothing is lost while journeys are joined."""

import threading
from collections import deque
from collections.abc import Sequence

import numpy as np

from tracer.sources.live.engine import Engine, EventArray

#: Events held for the joiner at most (bytes); beyond that the ring fills, which the kernel counts.
HELD_BYTES = 512 << 20
_WAIT_S = 0.002  # then it says anew until when it has read


def together(parts: Sequence[EventArray]) -> EventArray:
    """Return events one after the other; numpy would lay fields that overlap out anew."""
    if len(parts) == 1:
        return parts[0]
    dtype = parts[0].dtype
    whole: EventArray = np.concatenate([part.view(f"V{dtype.itemsize}") for part in parts])
    return whole.view(dtype)


class Reader(threading.Thread):
    """Drains an attached engine from `start` to `stop`; `take` gives what came meanwhile.

    An error of the engine is raised by the next `take`. `until_ns` (CLOCK_MONOTONIC): `take` has
    given every event with an earlier time.
    """

    def __init__(self, engine: Engine, held_bytes: int = HELD_BYTES) -> None:
        super().__init__(name="tracer-reader", daemon=True)
        self._engine = engine
        self._limit = held_bytes
        self._parts: deque[EventArray] = deque()
        self._held = 0
        self._drained_ns = self.until_ns = 0
        self._news = threading.Condition()
        self._ending = False
        self._error: BaseException | None = None

    def run(self) -> None:
        """Drain until `stop`, and then once more."""
        try:
            while not self._ending:
                self._put(self._engine.drain(_WAIT_S))
            while self._put(self._engine.drain(0.0)):
                pass
        except BaseException as error:
            self._error = error
        with self._news:
            self._news.notify_all()

    def _put(self, events: EventArray) -> bool:
        # Whether there are any.
        with self._news:
            if len(events):
                self._news.wait_for(lambda: self._held < self._limit or self._ending)
                self._parts.append(events)
                self._held += events.nbytes
                self._news.notify_all()
            self._drained_ns = self._engine.until_ns
        return len(events) > 0

    def take(self, timeout: float) -> EventArray:
        """Return the events since the last call; waits up to `timeout` seconds for the first."""
        with self._news:
            if not self._parts and self._error is None:
                self._news.wait(timeout)
            parts, self._held = list(self._parts), 0
            self.until_ns = self._drained_ns
            self._parts.clear()
            self._news.notify_all()
        if self._error is not None and not parts:
            raise self._error
        return together(parts) if parts else np.empty(0, self._engine.dtype)

    def stop(self) -> None:
        """End the thread; what it had drained by then can still be taken."""
        self._ending = True
        with self._news:
            self._news.notify_all()
        if self.is_alive():
            self.join()
