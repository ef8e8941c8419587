"""The loop of `tracer follow`: events in, exchanges out as they end, until something stops it."""

import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING

from tracer.core.errors import HostError
from tracer.core.filter import FlowFilter
from tracer.sources.live.session import Session

if TYPE_CHECKING:
    from tracer.core.batch import ObservationBatch
    from tracer.core.journeys import JourneySet

_TICK_NS = 20_000_000
_STATS_NS = 200_000_000
_WAIT_S = 0.02
_QUIET_NS = 100_000_000


@dataclass(frozen=True, slots=True)
class Limits:
    """When to stop by itself, and how long to wait for what may still come (seconds)."""

    count: int | None = None
    duration: float | None = None
    settle: float = 1.0


class Stop:
    """Set by SIGINT and SIGTERM; a second signal acts as usual."""

    def __init__(self) -> None:
        self.requested = False
        self._before: dict[int, object] = {}

    def __enter__(self) -> "Stop":
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._request)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # as signal() gave it

    def _request(self, number: int, _: FrameType | None) -> None:
        self.requested = True
        signal.signal(number, signal.SIG_DFL)


class Following:
    """Joins a session's observations while they come; `journeys` yields what is over."""

    def __init__(self, session: Session, conditions: FlowFilter, limits: Limits) -> None:
        self._session = session
        self._conditions = conditions
        self._limits = limits
        self._child: subprocess.Popen[bytes] | None = None
        self.exit_status: int | None = None
        self.observations = 0

    def start(self, command: Sequence[str]) -> None:
        """Run a command; following ends when it has and its packets are settled."""
        try:
            self._child = subprocess.Popen(command, stdout=_STDERR)
        except OSError as error:
            raise HostError(
                f"{command[0]} cannot be run: {error.strerror}.", "Check the command after --."
            ) from error

    def journeys(
        self, stop: Stop, keep: Callable[["ObservationBatch"], None]
    ) -> "Iterator[JourneySet]":
        """Yield the exchanges that match, as sets, until stopped; `keep` gets every observation."""
        from tracer.correlate.join import JoinOptions, join
        from tracer.correlate.settling import Settling

        settle_ns = int(self._limits.settle * 1e9)
        end = [0]
        settling = Settling(
            lambda batch, entries: join(batch, entries, JoinOptions(end_ns=end[0] or None)),
            settle_ns,
        )
        watch = _Watch(self._session)
        shown, next_join = 0, 0
        deadline = _deadline(self._limits.duration)
        ended_ns = 0
        while not stop.requested and time.monotonic() < deadline:
            events = self._session.events(_WAIT_S)
            now = time.time_ns()
            if len(events):
                batch = self._session.observations(events)
                self.observations += len(batch)
                keep(batch)
                settling.push(batch)
            watch.look(now, settling.lost_between)
            if (settling.has_news and now >= next_join) or now >= settling.due_ns:
                end[0] = now
                found = settling.take(now)
                next_join = now + max(_TICK_NS, 2 * (time.time_ns() - now))
                if found is not None and (found := self._matching(found, shown)) is not None:
                    shown += _exchanges(found)
                    yield found
            if self._limits.count is not None and shown >= self._limits.count:
                return
            if self._has_ended():
                ended_ns = ended_ns or now
                settled = not settling.has_news and settling.is_empty
                if now - ended_ns > (_QUIET_NS if settled else settle_ns + _QUIET_NS):
                    break
        end[0] = 0
        while len(events := self._session.events(0.0)):
            batch = self._session.observations(events)
            self.observations += len(batch)
            keep(batch)
            settling.push(batch)
        watch.look(time.time_ns(), settling.lost_between, at_once=True)
        found = settling.flush()
        if found is not None and (found := self._matching(found, shown)) is not None:
            yield found

    def close(self) -> None:
        """End the command when it still runs."""
        if self._child is not None and self._child.poll() is None:
            self._child.terminate()
            self._child.wait()

    def _has_ended(self) -> bool:
        if self._child is None:
            return False
        self.exit_status = self._child.poll()
        return self.exit_status is not None

    def _matching(self, found: "JourneySet", shown: int) -> "JourneySet | None":
        import numpy as np

        from tracer.core.exchanges import exchange_order
        from tracer.core.subset import subset
        from tracer.correlate.select import select

        chosen = np.arange(len(found.journeys))
        if not self._conditions.is_empty:
            chosen = select(found, self._conditions)
        if self._limits.count is not None and len(chosen):
            left = self._limits.count - shown
            chosen = np.sort(np.concatenate(exchange_order(found, chosen)[:left]))
        if not len(chosen):
            return None
        return found if len(chosen) == len(found.journeys) else subset(found, chosen)


_STDERR = 2  # a followed command talks to the terminal; standard output is for journeys


def _deadline(duration: float | None) -> float:
    return float("inf") if duration is None else time.monotonic() + duration


def _exchanges(found: "JourneySet") -> int:
    from tracer.core.exchanges import exchange_order

    return len(exchange_order(found))


class _Watch:
    """Looks at the counters now and then, and says when events were lost."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._lost = 0
        self._looked = time.time_ns()

    def look(
        self, now_ns: int, lost_between: Callable[[int, int], None], *, at_once: bool = False
    ) -> None:
        if not at_once and now_ns - self._looked < _STATS_NS:
            return
        lost = self._session.stats().lost
        if lost > self._lost:
            lost_between(self._looked, now_ns)
        self._lost, self._looked = lost, now_ns
