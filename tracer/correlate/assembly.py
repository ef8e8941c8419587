"""Which rows of a burst of equal fingerprints are one packet: journeys, copies, ambiguity."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.jit import jit
from tracer.correlate.hashing import Codes
from tracer.correlate.order import is_before

Times = NDArray[np.int64]
COPY_NS = 1_000_000  # nobody sends two packets with one IP id this close: a second one is a copy
MOST_OPEN = 64
MOST_SLOTS = 63


@dataclass(slots=True)
class Assembly:
    """For each row: `journey` (-1 unusable), `copy_of` (row, -1), `candidates`, `ambiguous`.

    `repeated` marks rows whose fingerprint and slot more than one packet of the burst has.
    """

    journey: Codes
    copy_of: Codes
    candidates: NDArray[np.int32]
    ambiguous: NDArray[np.bool_]
    repeated: NDArray[np.bool_]
    journeys: int


@jit
def _is_line(p: Any, rows: Codes, stream: Codes, time: Times, slack_ns: int) -> bool:
    # Each stream shows the packet once at a TTL, and times agree with TTLs.
    for i in range(len(rows)):
        a = rows[i]
        for j in range(i + 1, len(rows)):
            b = rows[j]
            if stream[a] == stream[b] and p[a].ttl == p[b].ttl:
                return False
            if p[a].ttl > p[b].ttl and time[a] > time[b] + slack_ns:
                return False
    return True


@jit
def _slots(p: Any, rows: Codes, stream: Codes) -> Codes:
    slots = np.empty(len(rows), np.int64)
    streams = np.empty(MOST_SLOTS, np.int64)
    ttls = np.empty(MOST_SLOTS, np.int64)
    count = 0
    for i in range(len(rows)):
        row = rows[i]
        slot = 0
        while slot < count and (streams[slot] != stream[row] or ttls[slot] != p[row].ttl):
            slot += 1
        if slot == count and count < MOST_SLOTS:
            streams[slot], ttls[slot] = stream[row], p[row].ttl
            count += 1
        slots[i] = min(slot, MOST_SLOTS - 1)
    return slots


@jit
def _mark_copies(p: Any, rows: Codes, slots: Codes, time: Times, copy_of: Codes) -> None:
    latest = np.full(MOST_SLOTS, -1, np.int64)
    for i in range(len(rows)):
        row = rows[i]
        original = latest[slots[i]]
        if original >= 0 and p[row].ip_id > 0 and time[row] - time[original] <= COPY_NS:
            copy_of[row] = original
        else:
            latest[slots[i]] = row


@jit
def _cost(row: int, last: int, time: Times, link: Codes, keys: Any, delays: Codes) -> int:
    # How far the step is from the usual delay between the two links; no usual delay: 0.
    key = (np.uint64(link[last]) << np.uint64(32)) | np.uint64(link[row])
    at = np.searchsorted(keys, key)
    usual = delays[at] if at < len(keys) and keys[at] == key else 0
    return int(abs(time[row] - time[last] - usual))


@jit
def _chain(
    p: Any, rows: Codes, slots: Codes, time: Times, link: Codes, keys: Any, votes: Codes,
    delays: Codes, gap_ns: int, copy_of: Codes, out: Any,
) -> int:  # fmt: skip
    journey, candidates, ambiguous, base = out
    last = np.empty(MOST_OPEN, np.int64)
    seen = np.zeros(MOST_OPEN, np.int64)
    ids = np.zeros(MOST_OPEN, np.int64)
    opened = 0
    for i in range(len(rows)):
        row = rows[i]
        if copy_of[row] >= 0:
            journey[row] = journey[copy_of[row]]
            continue
        best, best_cost, second_cost, fitting = -1, 0, 0, 0
        for c in range(max(0, opened - MOST_OPEN), opened):
            k = c % MOST_OPEN
            if seen[k] >> slots[i] & 1 or p[row].ttl > p[last[k]].ttl:
                continue
            if time[row] - time[last[k]] > gap_ns or is_before(
                keys, votes, link[row], link[last[k]]
            ):
                continue
            cost = _cost(row, last[k], time, link, keys, delays)
            fitting += 1
            if best < 0 or cost < best_cost:
                best, best_cost, second_cost = k, cost, best_cost if best >= 0 else -1
            elif second_cost < 0 or cost < second_cost:
                second_cost = cost
        if best < 0:
            best = opened % MOST_OPEN
            seen[best], ids[best] = 0, base + opened
            opened += 1
        last[best] = row
        seen[best] |= 1 << slots[i]
        journey[row] = ids[best]
        candidates[row] = max(fitting, 1)
        ambiguous[row] = fitting > 1 and second_cost < 4 * best_cost + COPY_NS
    return opened


@jit
def _assemble(
    p: Any, order: Codes, starts: Codes, stream: Codes, flow_class: Codes, slack_ns: int,
    time: Times, link: Codes, keys: Any, votes: Codes, delays: Codes, gap_ns: int, out: Any,
) -> int:  # fmt: skip
    journey, copy_of, candidates, ambiguous, repeated = out
    count = 0
    for group in range(len(starts) - 1):
        rows = order[starts[group] : starts[group + 1]]
        start = 0
        while start < len(rows):
            stop = start + 1
            while stop < len(rows) and flow_class[rows[stop]] == flow_class[rows[start]]:
                stop += 1
            part = rows[start:stop]
            start = stop
            if len(part) <= 64 and _is_line(p, part, stream, time, slack_ns):
                journey[part] = count
                count += 1
                continue
            part = part[np.argsort(time[part], kind="mergesort")]
            slots = _slots(p, part, stream)
            _mark_copies(p, part, slots, time, copy_of)
            repeated[part] = True
            count += _chain(
                p, part, slots, time, link, keys, votes, delays, gap_ns, copy_of,
                (journey, candidates, ambiguous, count),
            )  # fmt: skip
    return count


def assemble(
    packets: Any, groups: tuple[Codes, Codes], flows: Any, time: Times, slack_ns: int, links: Any,
    gap_ns: int,
) -> Assembly:  # fmt: skip
    """Return the journeys of all rows; groups are bursts sorted by class, falling TTL, time.

    `flows` are `nat.Streams`, `links` an `order.LinkOrder`; `gap_ns` the longest possible hop.
    """
    rows = len(packets)
    out = Assembly(
        np.full(rows, -1, np.int64),
        np.full(rows, -1, np.int64),
        np.ones(rows, np.int32),
        np.zeros(rows, np.bool_),
        np.zeros(rows, np.bool_),
        0,
    )
    out.journeys = _assemble(
        packets, *groups, flows.stream, flows.flow_class, slack_ns, time, links.link, links.keys,
        links.votes, links.delay_ns, gap_ns,
        (out.journey, out.copy_of, out.candidates, out.ambiguous, out.repeated),
    )  # fmt: skip
    return out
