"""The loop of following, live: events in, exchanges out as they end, until something stops it."""

import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tracer.api.keeping import lost
from tracer.api.stop import Stop
from tracer.core.errors import HostError
from tracer.core.filter import FlowFilter
from tracer.process_memory import give_back
from tracer.sources.live.session import HOLD_NS, Session

if TYPE_CHECKING:
    from tracer.core.batch import ObservationBatch
    from tracer.core.journeys import JourneySet
    from tracer.core.redaction.redactor import Redactor
    from tracer.correlate.windows.settling import Settling
    from tracer.report.running import RunningSummary
    from tracer.sources.live.engine import Attached, Stats

_TICK_NS = 20_000_000
_STATS_NS = 200_000_000
_IDLE_S, _LEAST_S = 0.05, 0.001
_QUIET_NS = 100_000_000
_REST_S = 5.0
_MOST_SILENCE_NS = 500_000_000


@dataclass(frozen=True, slots=True)
class Limits:
    """When to stop by itself, and how long to wait for what may still come (seconds)."""

    count: int | None = None
    duration: float | None = None
    settle: float = 1.0


class Following:
    """Joins a session's observations while they come; `journeys` yields what is over.

    With a redactor that has pseudonyms; `keep` gets the observations as they are.
    """

    def __init__(
        self,
        session: Session,
        conditions: FlowFilter,
        limits: Limits,
        redactor: "Redactor | None" = None,
    ) -> None:
        self._session, self._redactor = session, redactor
        self._conditions = conditions
        self._limits = limits
        self._settle_ns = int(limits.settle * 1e9)
        self._child: subprocess.Popen[bytes] | None = None
        self._child_ended_ns: int | None = None
        self._shown = 0
        self._given_back, self._next_rest = 0, 0.0
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
        settling, watch = self._settling(), _Watch(self._session)
        deadline = _deadline(self._limits.duration)
        next_join = 0
        while not (stop.requested or time.monotonic() >= deadline or self._is_over(settling)):
            self._take_in(self._session.observations(self._wait_s(settling)), settling, keep)
            now = self._session.until_ns
            watch.look(now, settling.lost_between)
            if (settling.has_news and now >= next_join) or now >= settling.due_ns:
                started = time.monotonic_ns()
                found = settling.take(now)
                # Only what joining takes: what is loaded for the first output is no load.
                next_join = now + max(_TICK_NS, 2 * (time.monotonic_ns() - started))
                yield from self._shown_of(found)
            if self._limits.count is not None and self._shown >= self._limits.count:
                return
            self._rest(settling)
        self._take_in(self._session.rest(), settling, keep)
        watch.look(self._session.until_ns, settling.lost_between, at_once=True)
        yield from self._shown_of(settling.flush())

    def close(self) -> None:
        """End the command when it still runs."""
        if self._child is not None and self._child.poll() is None:
            self._child.terminate()
            self._child.wait()

    def _settling(self) -> "Settling":
        from tracer.correlate.join import JoinOptions, join
        from tracer.correlate.warm import warm
        from tracer.correlate.windows.settling import Settling

        # While nothing has come yet: the first packet is not to wait for what is loaded.
        give_back()  # what the compiler needed to start, before more of it is needed
        warm()
        give_back()
        silence_ns = min(self._settle_ns, _MOST_SILENCE_NS)
        return Settling(
            lambda batch, entries: join(
                batch, entries, JoinOptions(end_ns=self._session.until_ns, settle_ns=silence_ns)
            ),
            self._settle_ns,
        )

    def _rest(self, settling: "Settling") -> None:
        # Gives memory back once it is quiet, seldom: it takes a millisecond or two.
        now = time.monotonic()
        is_quiet = settling.is_empty and not settling.has_news
        if self.observations > self._given_back and is_quiet and now >= self._next_rest:
            give_back()
            self._given_back, self._next_rest = self.observations, now + _REST_S

    def _wait_s(self, settling: "Settling") -> float:
        # How long nothing is due: events that are held become ripe, exchanges become over.
        if self._session.is_holding:
            return HOLD_NS / 1e9
        until_due = (settling.due_ns + HOLD_NS - time.time_ns()) / 1e9
        return min(_IDLE_S, max(_LEAST_S, until_due))

    def _take_in(
        self,
        batch: "ObservationBatch",
        settling: "Settling",
        keep: Callable[["ObservationBatch"], None],
    ) -> None:
        if len(batch):
            self.observations += len(batch)
            keep(batch)
            settling.push(batch)

    def _is_over(self, settling: "Settling") -> bool:
        # The command has ended, and what it sent has, or has had its time.
        if self._child is None or self._child.poll() is None:
            return False
        status = self._child.returncode
        self.exit_status = status if status >= 0 else 128 - status  # a signal, as a shell tells it
        now = time.monotonic_ns()
        self._child_ended_ns = self._child_ended_ns or now
        is_settled = not settling.has_news and settling.is_empty and not self._session.is_holding
        wait_ns = _QUIET_NS if is_settled else self._settle_ns + _QUIET_NS
        return now - self._child_ended_ns > wait_ns

    def _shown_of(self, found: "JourneySet | None") -> "Iterator[JourneySet]":
        # What of a set matches and is still wanted; counts its exchanges.
        from tracer.core.exchanges import first_exchanges
        from tracer.core.subset import subset
        from tracer.correlate.select import select

        if found is None:
            return
        count = self._limits.count
        left = None if count is None else count - self._shown
        chosen, exchanges = first_exchanges(found, select(found, self._conditions), left)
        self._shown += exchanges
        if len(chosen):
            shown = found if len(chosen) == len(found.journeys) else subset(found, chosen)
            yield shown if self._redactor is None else self._redactor.journey_set(shown)


def live_summary(
    tally: "RunningSummary", observations: int, stats: "Stats", attached: "Attached"
) -> dict[str, Any]:
    """Return the summary of a live run as JSON values, with what became of events and where."""
    from tracer.core.warnings import InputWarning

    value = tally.value(observations, lost(stats))
    if stats.forgotten:
        forgotten = InputWarning("flows-forgotten", _FORGOTTEN, count=stats.forgotten)
        value["warnings"] = [*value["warnings"], forgotten.as_dict()]
    if text := stats.unwatched_text:
        unwatched = InputWarning("namespaces-unwatched", text)
        value["warnings"] = [*value["warnings"], unwatched.as_dict()]
    names = ("seen", "matched", "sent", "frees_skipped")
    value["events"] = {name: getattr(stats, name) for name in names}
    value["attached"] = list(attached.points)
    return value


_FORGOTTEN = (
    "the map of flows was full (--map-size makes it larger): the key of the flow that was silent"
    " for longest was forgotten, so that its later packets, if any, may be missing"
)
_STDERR = 2  # a followed command talks to the terminal; standard output is for journeys


def _deadline(duration: float | None) -> float:
    return float("inf") if duration is None else time.monotonic() + duration


class _Watch:
    """Looks at the counters now and then, and says when events were lost."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._lost = 0
        self._looked = 0  # what was lost before the first look, too

    def look(
        self, now_ns: int, lost_between: Callable[[int, int], None], *, at_once: bool = False
    ) -> None:
        if not at_once and now_ns - self._looked < _STATS_NS:
            return
        lost = self._session.stats().lost
        if lost > self._lost:
            lost_between(self._looked, time.time_ns())
        self._lost, self._looked = lost, now_ns
