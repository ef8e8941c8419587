"""Following in a thread of its own: counts everything, keeps the newest for the screen."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tracer.cli.view.kept import Exchange, Kept
from tracer.report.live.paths import Path, paths_of
from tracer.report.live.ways import Ways
from tracer.report.running import RunningSummary

if TYPE_CHECKING:
    from tracer.api.live_loop import Following
    from tracer.api.stop import Stop
    from tracer.core.batch import ObservationBatch
    from tracer.core.journeys import JourneySet
    from tracer.sources.live.session import Session

_MARK_NS = 500_000_000
_WINDOW = 5_000_000_000


@dataclass(frozen=True, slots=True)
class Picture:
    """What there is to show at one moment; rates are per second, over the last seconds."""

    elapsed_ns: int = 0
    observations: int = 0
    events_rate: float = 0.0
    lost: int = 0
    journeys: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    paths: tuple[Path, ...] = ()
    other_packets: int = 0
    since_ns: int = 0
    exchanges: tuple[Exchange, ...] = ()
    kept: int = 0
    total: int = 0


class Feed:
    """Runs `following.journeys` until it ends; `picture` may be asked for at any time."""

    def __init__(
        self,
        following: "Following",
        stop: "Stop",
        keep: "Callable[[ObservationBatch], None]",
        session: "Session",
    ) -> None:
        self._following, self._stop, self._keep, self._session = following, stop, keep, session
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="following", daemon=True)
        self._started_ns = time.monotonic_ns()
        self._since_ns = time.time_ns()
        self._marks: list[tuple[int, int]] = [(self._started_ns, 0)]
        self._ended_ns: int | None = None
        self._ways = Ways()
        self.kept = Kept()
        self.tally = RunningSummary()
        self._lost_events = self._looked_ns = 0
        self.error: BaseException | None = None

    def start(self) -> None:
        """Start following."""
        self._thread.start()

    @property
    def has_ended(self) -> bool:
        """Whether following is over, of itself or because it was stopped."""
        return self._ended_ns is not None

    def end(self) -> RunningSummary:
        """Stop, wait for what is left to be counted, and return the counts.

        Raises what following raised.
        """
        self._stop.requested = True
        self._thread.join()
        if self.error is not None:
            raise self.error
        return self.tally

    def stop(self) -> None:
        """Ask following to end; what is left is still counted."""
        self._stop.requested = True

    def picture(self) -> Picture:
        """Return what there is to show now."""
        now = self._ended_ns or time.monotonic_ns()
        with self._lock:
            self._ways.tick(now)
            value = self.tally.value(0, {})
            ways, other, since = self._ways.ways, self._ways.other_packets, self._since_ns
            paths = tuple(paths_of(ways))
            exchanges, kept, total = tuple(self.kept.matching), len(self.kept), self.kept.total
        return Picture(
            elapsed_ns=now - self._started_ns,
            observations=self._following.observations,
            events_rate=self._rate(now),
            lost=self._lost(now),
            journeys=value["journeys"],
            outcomes=value["outcomes"],
            paths=paths,
            other_packets=other,
            since_ns=since,
            exchanges=exchanges,
            kept=kept,
            total=total,
        )

    def restart(self) -> None:
        """Count the paths anew."""
        with self._lock:
            self._ways.restart()
            self._since_ns = time.time_ns()

    def choose(self, text: str) -> None:
        """Show only exchanges for which the typed condition holds; raises ValueError."""
        from tracer.cli.view.condition import parse

        condition = parse(text)
        with self._lock:
            self.kept.choose(condition)

    def _rate(self, now: int) -> float:
        count = self._following.observations
        if now - self._marks[-1][0] >= _MARK_NS:
            self._marks.append((now, count))
        while len(self._marks) > 1 and self._marks[1][0] <= now - _WINDOW:
            self._marks.pop(0)
        then, before = self._marks[0]
        return (count - before) * 1e9 / (now - then) if now > then else 0.0

    def _lost(self, now: int) -> int:
        if now - self._looked_ns >= _MARK_NS:
            self._lost_events, self._looked_ns = self._session.stats().lost, now
        return self._lost_events

    def _run(self) -> None:
        try:
            for part in self._following.journeys(self._stop, self._keep):
                self._take(part)
        except BaseException as error:  # handed on by `end`, in the thread that asked
            self.error = error
        self._ended_ns = time.monotonic_ns()

    def _take(self, part: "JourneySet") -> None:
        with self._lock:  # all three, so that no picture shows counts that disagree
            for counted in self.tally.counted([part]):
                self._ways.add(counted)
                self.kept.add(counted)
