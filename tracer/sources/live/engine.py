"""The engine interface: load with a config, attach, drain raw events, stats, close.

    from tracer.sources.live.engine import Config, open_engine
    with open_engine("auto", Config(FlowFilter(icmp_id=22344))) as engine:   # loaded
        engine.attach()                 # from here on nothing is missed
        events = engine.drain(0.02)     # structured array, dtype engine.dtype, one record an event
        stats = engine.stats()          # what the tracer did and missed

An event is `struct event` of bpf/event.h (`event_layout.EVENT_DTYPE`, plus `snap` when asked for):
what one hook saw of one packet. `hook` says where (`event_layout.Hook`), `flags` says which fields
are filled (`event_layout.Flag`); a field whose flag is not set means nothing. Numbers are in host
order; an address is (hi, lo) as in `core.address`; MACs are uint64. `time_ns` is CLOCK_MONOTONIC:
`clock.Clock.epoch_ns` turns it into UTC. Events come in the order of the ring, which is nearly, not
exactly, the order of time.
"""

from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from tracer.core.errors import HostError, TracerError
from tracer.core.filter import FlowFilter
from tracer.sources.live.event_layout import Hook

if TYPE_CHECKING:  # programs are loaded and attached before numpy is imported
    import numpy as np
    from numpy.typing import NDArray

    EventArray = NDArray[Any]
else:
    EventArray = Any

#: What is attached unless asked otherwise: HOOK_QUEUE shows no packet that HOOK_XMIT does not.
DEFAULT_HOOKS = frozenset(Hook) - {Hook.QUEUE}


@dataclass(frozen=True, slots=True)
class Config:
    """What an engine is loaded with.

    The kernel's filter takes what may belong to `filter` (a term with more than four alternatives
    is left to user space) and everything its translations and replies become. A filter that names
    an address which only NAT brings in takes a connection's first packet from NAT on; from the
    second on, and for all replies, conntrack's tuples tell at every hook. Sizes are rounded up
    to powers of two: `ring_bytes`, `followed` (flow directions), `tracked` (packets in flight).
    `snap` is how many bytes from the link header on are copied behind each event; `headers_only`
    keeps the payload out of them.
    """

    filter: FlowFilter = field(default_factory=FlowFilter)
    hooks: frozenset[Hook] = DEFAULT_HOOKS
    ring_bytes: int = 16 << 20
    followed: int = 1 << 16
    tracked: int = 1 << 16
    snap: int = 0
    headers_only: bool = False
    tunnels: bool = True


@dataclass(frozen=True, slots=True)
class Stats:
    """What the tracer did and what it missed, since it was loaded; counts are packets at hooks.

    `seen` calls of hooks, `matched` those taken, `sent` events put into the ring, `ring_full`
    events lost because it was full, `map_full` flow keys refused and packets in flight evicted,
    `unreadable` packets whose headers could not be read, `drained` events handed out. `forgotten`:
    flow keys that gave way to newer ones at least, which loses nothing where their flows are over.

    The kernel runs no program inside itself: where an interrupt comes while a hook's program runs,
    packets that the interrupt takes to the same hook on that CPU are not seen there, whosever they
    are. `hooks_skipped` such calls may have shown a packet or its drop; `frees_skipped` had to say
    that a buffer was free, without which two equal packets in it one after the other seem to be
    one.

    `unwatched`: namespaces that netfilter programs could not be attached in, where NAT is seen by
    them elsewhere; `unwatched_why` is the system's last reason.
    """

    seen: int = 0
    matched: int = 0
    sent: int = 0
    ring_full: int = 0
    map_full: int = 0
    unreadable: int = 0
    hooks_skipped: int = 0
    frees_skipped: int = 0
    drained: int = 0
    forgotten: int = 0
    unwatched: int = 0
    unwatched_why: str = ""

    @property
    def lost(self) -> int:
        """Events the tracer itself lost, at most (they say nothing about the network)."""
        return self.ring_full + self.map_full + self.hooks_skipped

    @property
    def unwatched_text(self) -> str | None:
        """What is missing where namespaces are `unwatched`, one sentence without a stop."""
        if not self.unwatched:
            return None
        return (
            f"NAT is not watched in {namespaces(self.unwatched)} ({self.unwatched_why}): there,"
            " conntrack tells of it where packets are seen next"
        )


@dataclass(frozen=True, slots=True)
class Attached:
    """What was attached: hook names, how NAT is seen, and what could not be attached and why."""

    points: tuple[str, ...] = ()
    nat: str = "conntrack"  # netfilter | kprobe | conntrack (tuples only)
    missing: tuple[tuple[str, str], ...] = ()


def namespaces(count: int) -> str:
    """Return how many network namespaces, in words."""
    return f"{count} network namespace{'' if count == 1 else 's'}"


class Engine(Protocol):
    """One way of getting the BPF programs into the kernel; both give the same events.

    `until_ns` (CLOCK_MONOTONIC): `drain` has returned every event with an earlier time.
    """

    name: str
    until_ns: int

    @property
    def dtype(self) -> "np.dtype[Any]":
        """What `drain` gives: EVENT_DTYPE, and `snap` behind it when it was asked for."""

    @property
    def joined(self) -> frozenset[int]:
        """Inode numbers of the namespaces with NAT hooks; empty when NAT is seen otherwise."""

    def load(self, config: Config) -> None:
        """Load programs and maps; raises HostError with the cause and the next command."""

    def attach(self) -> Attached:
        """Attach everything this kernel offers; no event is lost from its return on.

        Called again it does nothing and returns the same.
        """

    def drain(self, timeout: float = 0.0) -> EventArray:
        """Return the events since the last call, shape (n,), dtype `dtype`, a copy.

        Waits up to `timeout` seconds for the first one. Joins namespaces that appeared.
        """

    def follow(self, keys: "NDArray[Any]") -> None:
        """Add flow keys (FLOW_KEY_DTYPE) to `followed`: of conntrack entries known before, say."""

    def stats(self) -> Stats:
        """Return the counters, summed over CPUs."""

    def close(self) -> None:
        """Detach and free everything; nothing stays in the kernel. May be called twice."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


def create_engine(name: str) -> Engine:
    """Return an engine that is not loaded yet; `name` is core or bcc."""
    if name == "core":
        from tracer.sources.live.engine_core import CoreEngine

        return CoreEngine()
    if name == "bcc":
        from tracer.sources.live.engine_bcc import BccEngine

        return BccEngine()
    raise TracerError(f"There is no engine {name!r}.", "Use auto, core or bcc.")


def open_engine(name: str, config: Config) -> Engine:
    """Return an engine, loaded; `auto` takes the cheapest that loads (core, then bcc).

    Raises HostError with every engine's cause when none does.
    """
    failed: list[tuple[str, HostError]] = []
    for candidate in ("core", "bcc") if name == "auto" else (name,):
        engine = create_engine(candidate)
        try:
            engine.load(config)
        except HostError as error:
            engine.close()
            if name != "auto":
                raise
            failed.append((candidate, error))
            continue
        return engine
    if len({error.message for _, error in failed}) == 1:  # no root, say: the same for all
        raise failed[0][1]
    causes = "; ".join(f"{name}: {error.message.rstrip('.')}" for name, error in failed)
    raise HostError(
        f"No engine can be loaded: {causes}.", "Run `tracer doctor` for what is missing."
    )
