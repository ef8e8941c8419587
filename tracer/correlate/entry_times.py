"""When each conntrack entry was there: event logs say when one was made and destroyed.

A tuple is used again once its entry is gone. What a log says of one flow is then no proof of what
another flow's packets became, which had the tuple before or after it.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace

from tracer.core.conntrack import ConntrackEntry, Tuple

ALWAYS = (-(1 << 62), 1 << 62)
REPORT_NS = 1_000_000_000  # a NEW is stamped at most that long after the packet that made it


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

    A log that begins or ends while an entry is there leaves that side open; so does a dump, which
    says nothing where a log tells of the same tuples.
    """
    if not any(entry.event and entry.time_ns is not None for entry in conntrack):
        return [Lifetime(entry) for entry in conntrack]
    logged: dict[Hashable, list[ConntrackEntry]] = defaultdict(list)
    found: dict[Hashable, Lifetime] = {}
    for entry in conntrack:
        key = (_scope(entry), _bare(entry.original), _bare(entry.reply))
        if entry.time_ns is not None and entry.event:
            logged[key].append(entry)
        else:
            found.setdefault(key, Lifetime(entry))
    limited = [life for events in logged.values() for life in _lives(events)]
    return [life for key, life in found.items() if key not in logged] + _apart(limited)


# Types and codes differ between the forms of a dump.
def _bare(way: Tuple) -> Tuple:
    return replace(way, icmp_type=None, icmp_code=None)


def _lives(events: list[ConntrackEntry]) -> Iterator[Lifetime]:
    since, is_open = ALWAYS[0], False
    for entry in sorted(events, key=lambda event: event.time_ns or 0):
        time = entry.time_ns or 0
        if entry.event == "DESTROY":
            yield Lifetime(entry, since, time)
            since, is_open = time, False
            continue
        if entry.event == "NEW":
            if is_open:  # its end was not logged
                yield Lifetime(entry, since, time)
            since = time
        is_open = True
    if is_open:
        yield Lifetime(events[-1], since)


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
