"""What both engines share: everything after the programs are in the kernel."""

import os
import platform
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from struct import unpack_from
from typing import TYPE_CHECKING, Any

from tracer.core.closing import Closing
from tracer.core.errors import HostError
from tracer.sources.live import syscalls
from tracer.sources.live.engine import Attached, Config, EventArray, Stats
from tracer.sources.live.event_layout import (
    COUNTERS_FIELDS,
    CPU_SIZE,
    EVENT_SIZE,
    Hook,
)
from tracer.sources.live.flows import FlowBits, add_keys
from tracer.sources.live.nat_links import Links, NatLinks, upper_links
from tracer.sources.live.points import PLACES, UPPER_TYPED, Choice, Place
from tracer.sources.live.ring import Ring

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_SAY_FREE = {
    choice.program
    for place in PLACES
    if place.hook == Hook.CONSUME
    for way in place.ways
    for choice in way
}
_POLL_SECONDS = 0.002
_LOOK_SECONDS = 1.0  # how often to look for namespaces without names, and for modules


@dataclass(slots=True)
class Loaded:
    """What an engine has put into the kernel: descriptors by name, and how to free them."""

    programs: dict[str, int]
    maps: dict[str, int]
    free: Callable[[], None]


def event_dtype(snap: int) -> "np.dtype[Any]":
    """Return the dtype of events with `snap` bytes (a multiple of 8) of packet behind each."""
    import numpy as np

    from tracer.sources.live.event_layout import EVENT_DTYPE

    if not snap:
        return EVENT_DTYPE
    names = list(EVENT_DTYPE.names or ())
    fields: dict[str, Any] = dict(EVENT_DTYPE.fields or {})
    return np.dtype(
        {
            "names": [*names, "snap"],
            "formats": [*(fields[name][0] for name in names), f"V{snap}"],
            "offsets": [*(fields[name][1] for name in names), EVENT_SIZE],
            "itemsize": EVENT_SIZE + snap,
        }
    )


def round_up(number: int, least: int) -> int:
    """Return the power of two that is at least `number` and `least`."""
    return 1 << (max(number, least) - 1).bit_length()


class LoadedEngine(Closing, ABC):
    """An engine but for how its programs come into the kernel (`Engine` is the interface)."""

    name = "?"

    def __init__(self) -> None:
        self._dtype: np.dtype[Any] | None = None
        self.config = Config()
        self.attached = Attached()
        self._loaded: Loaded | None = None
        self._ring: Ring | None = None
        self._bits: FlowBits | None = None
        self._links: list[int] = []
        self._nat: NatLinks | None = None
        self._upper: Links | None = None
        self._points: list[str] = []
        self._missing: dict[Place, str] = {}
        self._awaited: set[Place] = set()
        self._looked = 0.0
        self._drained = 0
        self.until_ns = 0

    @abstractmethod
    def _load_programs(self, config: Config) -> Loaded:
        """Load programs and maps for a config; raises HostError."""

    def load(self, config: Config) -> None:
        """Load programs and maps; raises HostError with the cause and the next command."""
        if os.geteuid() != 0:
            raise HostError("Loading BPF programs needs root.", "Run it with sudo.")
        if not syscalls.knows_processor():
            raise HostError(
                f"Live tracing is made for x86-64 and arm64, and this is {platform.machine()}.",
                "Capture with `tcpdump -w FILE`, and give that to `tracer offline`.",
            )
        self.config = config
        self._dtype = None
        try:
            loaded = self._loaded = self._load_programs(config)
        except PermissionError:
            raise _not_permitted() from None
        ring_bytes = round_up(config.ring_bytes, 4096)
        record = EVENT_SIZE + snap_bytes(config)
        self._ring = Ring(loaded.maps["events"], ring_bytes, record)
        self._bits = FlowBits(loaded.maps["followed_bits"])

    @property
    def dtype(self) -> "np.dtype[Any]":
        """What `drain` gives: EVENT_DTYPE, and `snap` behind it when it was asked for."""
        if self._dtype is None:
            self._dtype = event_dtype(snap_bytes(self.config))
        return self._dtype

    def attach(self) -> Attached:
        """Attach everything this kernel offers; no event is lost from its return on.

        Called again it does nothing and returns the same.
        """
        loaded = self._need()
        if self._links or self._nat is not None:
            return self.attached
        self._points, self._missing, self._awaited = [], {}, set()
        hooks = self.config.hooks
        if Hook.NAT in self.config.hooks and "after_netfilter" in loaded.programs:
            programs = loaded.programs
            self._nat = NatLinks(programs["before_netfilter"], programs["after_netfilter"])
            self._nat.join_all()
            if self._nat.works():
                hooks -= {Hook.NAT}
        if "upper_netfilter" in loaded.programs and not loaded.programs.keys() & UPPER_TYPED:
            self._upper = upper_links(loaded.programs["upper_netfilter"])
            self._upper.join_all()
        for place in PLACES:
            if place.hook in hooks:
                self._attach_place(loaded, place)
        return self._sum_up()

    def _sum_up(self) -> Attached:
        nat = "conntrack"
        if self._nat is not None and self._nat.works():
            nat = "netfilter"
        elif Hook.NAT in self.config.hooks - {place.hook for place in self._missing}:
            nat = "kprobe"
        missing = tuple((place.name, why) for place, why in self._missing.items())
        self.attached = Attached(tuple(self._points), nat, missing)
        return self.attached

    def _attach_late(self) -> None:
        # Functions of modules that were loaded after attach(): nf_nat with the first rule, say.
        loaded, before = self._need(), len(self._missing)
        for place in tuple(self._awaited):
            if place.absent_module is None:
                self._missing.pop(place, None)
                self._attach_place(loaded, place)
        self._awaited &= self._missing.keys()
        if len(self._missing) != before:
            self._sum_up()

    def _attach_place(self, loaded: Loaded, place: Place) -> None:
        reasons = []
        for way in place.ways:
            failed = self._attach_all(loaded, way)
            if failed is None:
                self._points += [f"{choice.kind}/{choice.target}" for choice in way]
                return
            reasons.append(failed)
        module = place.absent_module
        if module is None:
            self._missing[place] = "; ".join(reasons)
        else:
            self._awaited.add(place)
            self._missing[place] = f"the module {module} is not loaded; attached when it is"

    def _attach_all(self, loaded: Loaded, choices: tuple[Choice, ...]) -> str | None:
        # Attaches all programs of one alternative, or none; returns why it could not.
        links: list[int] = []
        for choice in choices:
            program = loaded.programs.get(choice.program)
            try:
                if program is None:
                    raise FileNotFoundError(2, "the program was not loaded")
                links.append(_attach(choice, program))
            except OSError as error:
                for link in links:
                    os.close(link)
                return f"{choice.kind}/{choice.target}: {error.strerror}"
        self._links += links
        return None

    def drain(self, timeout: float = 0.0) -> EventArray:
        """Return the events since the last call, shape (n,), dtype `dtype`, a copy.

        Waits up to `timeout` seconds for the first one. Joins namespaces that appeared meanwhile,
        and attaches to modules that were loaded.
        """
        self._need()
        assert self._ring is not None
        self._look_around()
        deadline = time.monotonic() + timeout
        records = self._ring.read()
        while not len(records) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
            self._look_around()
            records = self._ring.read()
        self._drained += len(records)
        self.until_ns = self._ring.until_ns
        return records.reshape(-1).view(self.dtype)

    def _look_around(self) -> None:
        now = time.monotonic()
        if now - self._looked >= _LOOK_SECONDS:
            self._looked = now
            self._attach_late()
            for links in filter(None, (self._nat, self._upper)):
                links.join_all()
            return
        for links in filter(None, (self._nat, self._upper)):
            links.join_named()

    @property
    def joined(self) -> frozenset[int]:
        """Inode numbers of the namespaces with NAT hooks; empty when NAT is seen otherwise."""
        return self._nat.joined if self._nat is not None else frozenset()

    def follow(self, keys: "NDArray[Any]") -> None:
        """Add flow keys (FLOW_KEY_DTYPE) to `followed`: of conntrack entries known before, say."""
        loaded = self._need()
        assert self._bits is not None
        add_keys(loaded.maps["followed"], self._bits, keys)

    def counters(self) -> dict[str, int]:
        """Return the values of `struct counters`, summed over CPUs."""
        size = CPU_SIZE * syscalls.possible_cpus()
        raw = syscalls.map_lookup(self._need().maps["per_cpu"], bytes(4), size) or bytes(size)
        return {
            name: sum(unpack_from("<Q", raw, start)[0] for start in range(offset, size, CPU_SIZE))
            for name, _, offset in COUNTERS_FIELDS  # `count` is the first member of struct cpu
        }

    def program_times(self) -> dict[str, tuple[int, int]]:
        """Return (calls, ns) of each program by name, while the kernel's statistics are on."""
        programs = self._need().programs.items()
        return {name: syscalls.program_times(descriptor) for name, descriptor in programs}

    def stats(self) -> Stats:
        """Return the counters, summed over CPUs."""
        c = self.counters()
        programs = self._need().programs.items()
        skips = {name: syscalls.program_skips(descriptor) for name, descriptor in programs}
        frees = sum(count for name, count in skips.items() if name in _SAY_FREE)
        barred = self._nat if self._nat is not None and self.attached.nat == "netfilter" else None
        return Stats(
            seen=c["seen"],
            matched=c["matched"],
            sent=c["sent"],
            ring_full=c["ring_full"],
            map_full=c["followed_failed"] + c["tracked_evicted"],
            unreadable=c["unreadable"],
            hooks_skipped=sum(skips.values()) - frees,
            frees_skipped=frees,
            drained=self._drained,
            forgotten=max(0, c["followed_added"] - self.config.followed),
            unwatched=barred.failed if barred else 0,
            unwatched_why=barred.why if barred else "",
        )

    def close(self) -> None:
        """Detach and free everything; nothing stays in the kernel. May be called twice."""
        for link in self._links:
            os.close(link)
        self._links.clear()
        for links in filter(None, (self._nat, self._upper)):
            links.close()
        self._nat = self._upper = None
        for part in (self._ring, self._bits):
            if part is not None:
                part.close()
        self._ring = self._bits = None
        if self._loaded is not None:
            self._loaded.free()
        self._loaded = None

    def _need(self) -> Loaded:
        if self._loaded is None:
            raise HostError("The engine is not loaded.", "Call load() first.")
        return self._loaded


def _not_permitted() -> HostError:
    return HostError(
        "The kernel does not let this root load BPF programs: it lacks CAP_BPF and CAP_PERFMON or"
        " CAP_SYS_ADMIN, as in a container.",
        "Run it on the host, or in a container that is --privileged; `tracer doctor` lists what is"
        " missing.",
    )


def snap_bytes(config: Config) -> int:
    """Return how many bytes of packet follow each event: `config.snap`, rounded up to 8."""
    return (config.snap + 7) & ~7


def _attach(choice: Choice, program: int) -> int:
    if choice.kind in ("tp_btf", "fexit"):
        return syscalls.open_raw_tracepoint(program, None)
    if choice.kind == "raw_tp":
        return syscalls.open_raw_tracepoint(program, choice.target)
    return syscalls.open_kprobe(program, choice.target, choice.kind == "kretprobe")
