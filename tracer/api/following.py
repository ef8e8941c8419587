"""`tracer.follow`: journeys live from the kernel, as an iterator and a context manager."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, Unpack

from tracer import jit_cache
from tracer.api.arguments import path_name, seconds, whole, words
from tracer.api.conditions import Conditions, flow_filter
from tracer.api.journey_frames import JourneyFrames
from tracer.core.closing import Closing
from tracer.core.errors import InputError, TracerError
from tracer.core.filter import FlowFilter
from tracer.core.journey import Journey

if TYPE_CHECKING:
    from tracer.sources.live.engine import Config


ENGINES = ("auto", "core", "bcc")


def follow(
    *,
    count: int | None = None,
    duration: float | None = None,
    settle: float = 1.0,
    command: Sequence[str] = (),
    engine: str = "auto",
    ring_size: int = 16,
    map_size: int = 1 << 16,
    snap: int = 0,
    write: str | PathLike[str] | None = None,
    **conditions: Unpack[Conditions],
) -> "Follow":
    """Return an iterator of the journeys of packets while they travel; needs root.

    The conditions (`icmp_id`, `proto`, `host`, `src`, `dst`, `port`, `sport`, `dport`) are for the
    packet as you know it: its translations and replies are followed by the kernel.

    It ends after `count` exchanges, after `duration` seconds, once `command` has ended, or by
    `Follow.stop`; without any of these, never. `settle` is how many seconds without news an
    unanswered packet waits for. `engine` is auto, core or bcc; `ring_size` the buffer between
    kernel and tracer in MiB; `map_size` how many flows and packets in flight can be followed;
    `snap` bytes of each packet are copied. `write` names a file that keeps every observation for
    `read`: Parquet, or pcapng with the packets' headers (or `snap` bytes of each).

    Attaching happens on entering the context, or at the first journey asked for. Raises HostError
    then when this host cannot do it.
    """
    from tracer.sources.live.engine import Config

    chosen = flow_filter(conditions)
    count = None if count is None else whole(count, "count", 1)
    duration = None if duration is None else seconds(duration, "duration", 0.001)
    settle = seconds(settle, "settle", 0.01)
    ring_size = whole(ring_size, "ring_size", 1, 1024)
    map_size = whole(map_size, "map_size", 16, 1 << 24)
    snap = whole(snap, "snap", 0, 1500)
    if engine not in ENGINES:
        raise InputError(f"There is no engine {engine!r}.", "Use auto, core or bcc.")
    run = words(command, "command")
    config = Config(chosen, ring_bytes=ring_size << 20, followed=map_size, tracked=map_size,
                    snap=snap)  # fmt: skip
    limits = (count, duration, settle)
    return Follow(chosen, config, engine, limits, run, _recording(write))


class Follow(Closing):
    """Journeys live from the kernel: `for journey in follow(...)`, best inside `with`.

    Journeys come exchange by exchange as these end, numbered on. `sets` gives them as
    `JourneyFrames` instead, many at a time. Leaving the context detaches everything.
    """

    def __init__(
        self,
        conditions: FlowFilter,
        config: "Config",
        engine: str,
        limits: tuple[int | None, float | None, float],
        command: tuple[str, ...],
        write: str | None,
    ) -> None:
        self._conditions, self._config, self._engine = conditions, config, engine
        self._limits, self._command, self._write = limits, command, write
        self._open: ExitStack | None = None
        self._is_over = False
        self._journeys: Iterator[Journey] | None = None

    def attach(self) -> Self:
        """Return itself, attached: from then on no packet is missed. Does nothing twice."""
        if self._open is None and not self._is_over:
            with ExitStack() as stack:
                self._attach(stack)
                self._open = stack.pop_all()
        return self

    def sets(self) -> Iterator[JourneyFrames]:
        """Yield the journeys as they end, as `JourneyFrames`; the bulk form of iterating."""
        self.attach()
        if self._is_over:
            return
        try:
            for found in self._tally.counted(self._following.journeys(self._stop, self._keep)):
                yield JourneyFrames.of(found)
        finally:
            self.close()

    def stop(self) -> None:
        """End it soon, with what is settled by then; may be called from another thread."""
        if self._open is not None:
            self._stop.requested = True

    @property
    def summary(self) -> dict[str, Any]:
        """Counts, losses and what was attached, so far; as `--summary` writes them.

        Raises TracerError before it is attached.
        """
        if self._open is None and not self._is_over:
            raise TracerError("It is not attached yet.", "Enter it with `with`, or iterate.")
        if self._open is not None:
            self._stats = self._session.stats()
        from tracer.api.live_loop import live_summary

        observations = self._following.observations
        return live_summary(self._tally, observations, self._stats, self._attached)

    @property
    def exit_status(self) -> int | None:
        """Exit status of `command` (128 + N: signal N ended it), None while it runs or for none."""
        return self._following.exit_status if hasattr(self, "_following") else None

    def close(self) -> None:
        """Detach everything; nothing stays in the kernel. May be called twice."""
        if self._open is not None:
            self._stats = self._session.stats()
            stack, self._open, self._is_over = self._open, None, True
            stack.close()

    def __enter__(self) -> Self:
        return self.attach()

    def __iter__(self) -> Iterator[Journey]:
        return self

    def __next__(self) -> Journey:
        if self._journeys is None:
            self._journeys = (journey for found in self.sets() for journey in found)
        return next(self._journeys)

    def _attach(self, stack: ExitStack) -> None:
        jit_cache.prepare()
        from tracer.api.keeping import Keeping, copied
        from tracer.api.live_loop import Following, Limits
        from tracer.api.stop import Stop
        from tracer.report.running import RunningSummary
        from tracer.sources.live.engine import open_engine
        from tracer.sources.live.session import Session

        session = stack.enter_context(
            Session(open_engine(self._engine, copied(self._config, self._write)))
        )
        # Not entered as a context: signals are the caller's business here.
        self._session, self._stop, self._tally = session, Stop(), RunningSummary()
        self._attached = session.attach()
        self._keep = stack.enter_context(Keeping(self._write, session))
        self._following = Following(session, self._conditions, Limits(*self._limits))
        stack.callback(self._following.close)
        if self._command:
            self._following.start(self._command)


def _recording(write: str | PathLike[str] | None) -> str | None:
    if write is None:
        return None
    from tracer.api.keeping import WRITERS

    name = path_name(write, "write")
    if Path(name).suffix in WRITERS:
        return name
    known = " or ".join(WRITERS)
    raise InputError(f"{name!r} does not end in {known}.", "Name the recording as one of these.")
