"""When the kernel made and destroyed an entry, as `conntrack -o ktimestamp` prints it, in UTC.

Text has `[start=Thu Nov 26 14:55:54 2026]` and, of destroyed entries, `[stop=…]`: ctime(3), local
time of a zone that is not said. XML has both in UTC, `<start>1795704954706147248</start>`, but
`<when>`, when an event was reported, in local time. An entry whose end is told in both ways tells
the zone of its file.
"""

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from xml.etree import ElementTree

from tracer.core.conntrack import ConntrackEntry
from tracer.core.utc_offset import utc_offset

SECOND_NS = 1_000_000_000
REPORTED_NS = 30 * SECOND_NS  # an end is reported at most that long after it
_CTIME = re.compile(r"[A-Z][a-z]{2} ([A-Z][a-z]{2}) +(\d+) (\d+):(\d+):(\d+) (\d+)")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_BEYOND_NS = 1 << 62  # the year 2116
_WHEN = ("year", "month", "day", "hour", "min", "sec")


class LocalTimes:
    """The stamps of one file's entries, in UTC as far as its lines tell their zone."""

    def __init__(self) -> None:
        self._offsets: set[int] = set()

    def text_entry(
        self, entry: ConntrackEntry, start: str | None = None, stop: str | None = None
    ) -> ConntrackEntry:
        """Return an entry of text with its stamps; its own `time_ns`, of an event, is in UTC.

        Raises ValueError for a stamp that is no time.
        """
        start_ns, stop_ns = _ctime_ns(start), _ctime_ns(stop)
        if start_ns is None and stop_ns is None:
            return entry
        local = replace(entry, time_ns=None, start_ns=start_ns, stop_ns=stop_ns, is_local=True)
        if entry.time_ns is None:
            return local
        offset = self._offset(stop_ns, entry.time_ns)
        return entry if offset is None else replace(local.shifted(offset), time_ns=entry.time_ns)

    def xml_entry(self, entry: ConntrackEntry, flow: ElementTree.Element) -> ConntrackEntry:
        """Return an entry of XML with its stamps; raises ValueError for one that is no time."""
        start, stop = (flow.findtext(f".//timestamp/{name}") for name in ("start", "stop"))
        start_ns, stop_ns = (
            None if stamp is None else in_range(int(stamp)) for stamp in (start, stop)
        )
        time_ns = _when_ns(flow.find("when"))
        stamped = replace(entry, start_ns=start_ns, stop_ns=stop_ns)
        if time_ns is None:
            return stamped
        if start_ns is None and stop_ns is None:
            return replace(entry, time_ns=time_ns, is_local=True)
        offset = self._offset(time_ns, stop_ns)
        return stamped if offset is None else replace(stamped, time_ns=time_ns - offset)

    def settled(self, entries: Iterable[ConntrackEntry]) -> list[ConntrackEntry]:
        """Return all entries of the file, in UTC where it tells one zone."""
        if len(self._offsets) != 1:
            return list(entries)
        (offset,) = self._offsets
        return [entry.shifted(offset) for entry in entries]

    def _offset(self, local_ns: int | None, utc_ns: int | None) -> int | None:
        if local_ns is None or utc_ns is None:
            return None
        offset = utc_offset(local_ns, utc_ns, REPORTED_NS)
        if offset is not None:
            self._offsets.add(offset)
        return offset


def in_range(stamp_ns: int) -> int:
    """Return a stamp (ns since 1970); raises ValueError for one no clock of ours reaches."""
    if not 0 <= stamp_ns < _BEYOND_NS:
        raise ValueError(f"{stamp_ns} ns is no time")
    return stamp_ns


def _ctime_ns(text: str | None) -> int | None:
    if text is None:
        return None
    match = _CTIME.fullmatch(text)
    if match is None or match[1] not in _MONTHS:
        raise ValueError(f"{text} is no time")
    day, hour, minute, second, year = (int(match[i]) for i in range(2, 7))
    return _ns(year, _MONTHS.index(match[1]) + 1, day, hour, minute, second)


def _when_ns(when: ElementTree.Element | None) -> int | None:
    return None if when is None else _ns(*(int(when.findtext(name, "")) for name in _WHEN))


def _ns(*parts: int) -> int:
    year, month, day, hour, minute, second = parts
    moment = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC)
    return in_range((int(moment.timestamp()) + max(second - 59, 0)) * SECOND_NS)
