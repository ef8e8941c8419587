"""When each conntrack entry was there: event logs, or the kernel's stamps, say when one was made
and destroyed.

A tuple is used again once its entry is gone. What a log says of one flow is then no proof of what
another flow's packets became, which had the tuple before or after it.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace

from tracer.core.conntrack import ConntrackEntry, Tuple

ALWAYS = (-(1 << 62), 1 << 62)
REPORT_NS = 1_000_000_000  # a NEW is stamped at most that long after the packet that made it
SAME_NS = 2 * REPORT_NS  # how far stamps of when one entry was made may be apart


@dataclass(frozen=True, slots=True)
class Lifetime:
    """An entry and the stamps (UTC nanoseconds, of its host's clock) between which it was there."""

    entry: ConntrackEntry
    since_ns: int = ALWAYS[0]
    until_ns: int = ALWAYS[1]

    @property
    def is_limited(self) -> bool:
        """Whether it is known when the entry was made or destroyed."""
        return (self.since_ns, self.until_ns) != ALWAYS


Scope = tuple[str | None, str | None, int]


def _scope(entry: ConntrackEntry) -> Scope:
    return entry.host, entry.netns, entry.zone


def lifetimes_of(conntrack: Sequence[ConntrackEntry]) -> list[Lifetime]:
    """Return a lifetime for each time an entry was made, and one for each that has no times.

    A log that begins or ends while an entry is there leaves that side open; so does a dump without
    the kernel's stamps, which says nothing where others tell of the same tuples.
    """
    told = [(entry, _events(entry)) for entry in conntrack]
    if not any(events for _, events in told):
        return [Lifetime(entry) for entry in conntrack]
    logged: dict[Hashable, list[_Event]] = defaultdict(list)
    found: dict[Hashable, Lifetime] = {}
    for entry, events in told:
        key = (_scope(entry), _bare(entry.original), _bare(entry.reply))
        known = logged.get(key)
        if events:
            logged[key] += events
        elif entry.event and known and known[-1].name == "DESTROY":  # it was made again
            known.append(_Event(entry, "NEW", known[-1].time_ns))
        else:
            found.setdefault(key, Lifetime(entry))
    limited = [life for events in logged.values() for life in _lives(events)]
    return [life for key, life in found.items() if key not in logged] + _apart(limited)


@dataclass(frozen=True, slots=True)
class _Event:
    entry: ConntrackEntry
    name: str
    time_ns: int
    is_stamp: bool = False  # the kernel's own of when it made the entry, which a NEW reports


# What an entry tells of when it was there; local time of an unknown zone tells nothing.
def _events(entry: ConntrackEntry) -> list[_Event]:
    if entry.is_local:
        return []
    events = []
    if entry.start_ns is not None:
        events.append(_Event(entry, "NEW", entry.start_ns, is_stamp=True))
    if entry.event and entry.time_ns is not None:
        events.append(_Event(entry, entry.event, entry.time_ns))
    elif entry.stop_ns is not None:
        events.append(_Event(entry, "DESTROY", entry.stop_ns))
    return events


# Types and codes differ between the forms of a dump.
def _bare(way: Tuple) -> Tuple:
    return replace(way, icmp_type=None, icmp_code=None)


def _lives(events: list[_Event]) -> Iterator[Lifetime]:
    since, is_open = ALWAYS[0], False
    events = _once(events)
    for event in events:
        if event.name == "DESTROY":
            yield Lifetime(event.entry, since, event.time_ns)
            since, is_open = event.time_ns, False
            continue
        if event.name == "NEW":
            if is_open:  # its end was not logged
                yield Lifetime(event.entry, since, event.time_ns)
            since = event.time_ns
        is_open = True
    if is_open:
        yield Lifetime(events[-1].entry, since)


# In order of time, and when an entry was made is told once: dumps tell it again and again, some to
# the second, and a NEW is stamped after it.
def _once(events: list[_Event]) -> list[_Event]:
    events = sorted(events, key=lambda event: event.time_ns)
    made = [event.time_ns for event in events if event.name == "NEW" and not event.is_stamp]
    kept: list[_Event] = []
    stamp_ns = ALWAYS[0]
    for event in events:
        if event.is_stamp:
            first, beyond = event.time_ns - SAME_NS, event.time_ns + SAME_NS
            is_logged = bisect_left(made, first) < bisect_right(made, beyond)
            if is_logged or stamp_ns >= first:
                continue
            stamp_ns = event.time_ns
        kept.append(event)
    return kept


def _apart(lives: list[Lifetime]) -> list[Lifetime]:
    # One table holds a tuple once: where the log missed an end, the next one's beginning is it.
    starts: dict[Hashable, list[int]] = defaultdict(list)
    for life in lives:
        for key in names_of(life):
            starts[key].append(life.since_ns)
    for times in starts.values():
        times.sort()
    return [replace(life, until_ns=_end(life, starts)) for life in lives]


def names_of(life: Lifetime) -> tuple[Hashable, Hashable]:
    """Return what an entry's table knows it by: its tuples both ways, each once at a time there."""
    scope = _scope(life.entry)
    return (scope, _bare(life.entry.original)), (scope, _bare(life.entry.reply))


def _end(life: Lifetime, starts: dict[Hashable, list[int]]) -> int:
    later = [time for key in names_of(life) for time in starts[key] if time > life.since_ns]
    return min([life.until_ns, *later])
