"""Which rows of a burst of equal fingerprints are one packet: journeys and ambiguity."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.jit import inner, inner_plain, jit
from tracer.correlate.hashing import Codes, Keys, filled
from tracer.correlate.joining.costs import (
    UNSURE_NS,
    cost_of,
    delays_of,
    in_turn,
    is_awaited,
    unsure_of,
)
from tracer.correlate.joining.journeys import Assembly
from tracer.correlate.joining.slots import slots_of
from tracer.correlate.nat.doubt import MOST_ROWS_OF_ONE_PACKET, differ
from tracer.correlate.nat.streams import Streams
from tracer.correlate.order.links import TIE_NS, LinkOrder, is_before
from tracer.correlate.packets.duplicates import COPY_NS, SOON_NS, has_id, is_numbered
from tracer.correlate.packets.groups import sort_rows
from tracer.correlate.packets.identity import Identity
from tracer.correlate.packets.silences import has_waited, watched_until

Times = NDArray[np.int64]
MOST_OPEN = 64  # equal packets on their way at once; the oldest gives way
NOWHERE = -2
SYN = 0x02


@inner_plain
def _is_line(
    ttl: Codes, rows: Codes, stream: Codes, body: Keys, time: Times, slack_ns: int
) -> bool:
    # Each stream shows the packet once at a TTL, and times agree with TTLs.
    if len(rows) > MOST_ROWS_OF_ONE_PACKET or differ(body, rows):
        return False
    level = 0  # first row of this TTL
    before = latest = time[rows[0]]  # last time of higher TTLs, and of this one too
    for i in range(1, len(rows)):
        row = rows[i]
        if ttl[row] != ttl[rows[level]]:
            level, before = i, latest
        if level and before > time[row] + slack_ns:
            return False
        for j in range(level, i):
            if stream[rows[j]] == stream[row]:
                return False
        latest = max(latest, time[row])
    return True


@inner_plain
def _is_sent_again(r: Any) -> bool:
    # TCP sends what was delayed that long again, and what comes late may be that.
    return bool(r.tcp_seq >= 0 and r.tcp_flags & SYN == 0)


@inner_plain
def _pauses(p: Any, rows: Codes, until_ns: Codes, time: Times, gap_ns: int) -> bool:
    for i in range(1, len(rows)):
        a, b = rows[i - 1], rows[i]
        if time[b] - time[a] > gap_ns and not has_waited(p, a, b, until_ns, time):
            return True
    return False


@inner_plain
def _can_follow(p: Any, rows: Codes, i: int, at: int, slots: Any, links: Any) -> bool:
    slot, _, passed = slots
    link, keys, votes, _ = links
    row, previous = rows[i], rows[at]
    if p[row].ttl != p[previous].ttl or len(passed) == 0:
        later = p[row].ttl > p[previous].ttl
        return not later and not is_before(keys, votes, link[row], link[previous])
    return not passed[slot[i], slot[at]]


@inner_plain
def _place(
    p: Any, rows: Codes, i: int, at: int, prev: Codes, slots: Any, time: Times, links: Any
) -> int:
    # What row i of a chain that ends at `at` comes after, -1 for the first of all. It may have been
    # stamped a little late, so that it was before those that end the chain.
    while at >= 0:
        if _can_follow(p, rows, i, at, slots, links):
            return at
        if time[rows[i]] - time[rows[at]] > TIE_NS:
            return NOWHERE
        at = prev[at]
    return -1


@inner_plain
def _add(
    p: Any, rows: Codes, i: int, k: int, state: Any, slots: Any, time: Times, links: Any
) -> None:
    last, prev, _, length = state
    after = -1
    if length[k]:
        after = _place(p, rows, i, last[k], prev, slots, time, links)
        if after == NOWHERE:  # the buffer says that it belongs here all the same
            after = last[k]
    prev[i] = after
    if length[k] == 0 or after == last[k]:
        last[k] = i
    else:
        at = last[k]
        while prev[at] != after:
            at = prev[at]
        prev[at] = i
    length[k] += 1


@inner
def _best(
    p: Any, rows: Codes, i: int, slots: Any, opened: int, state: Any, said: Any, time: Times,
    links: Any, limits: Any, to_come: Codes,
) -> tuple[int, int]:  # fmt: skip
    # The open chain that fits best, and how many fit about as well. `to_come`: rows of each slot
    # from this one on.
    last, prev, seen, length = state
    bytes_of, own = said
    link, keys, _, delays = links
    gap_ns, row, slot = limits[0], rows[i], slots[0][i]
    numbered = is_numbered(p, row)
    costs, fits = np.empty(MOST_OPEN, np.int64), np.empty(MOST_OPEN, np.int64)
    best, best_cost, fitting = -1, 0, 0
    unsure = near = best_unsure = UNSURE_NS
    for chain in range(max(0, opened - MOST_OPEN), opened):
        k = chain % MOST_OPEN
        previous = rows[last[k]]
        if seen[slot * MOST_OPEN + k] == chain or time[row] - time[previous] > gap_ns:
            continue
        if own != 0 and bytes_of[k] != 0 and bytes_of[k] != own:
            continue
        after = _place(p, rows, i, last[k], prev, slots, time, links)
        if after == NOWHERE:
            continue
        later, former = (row, rows[after]) if after >= 0 else (previous, row)
        cost = cost_of(later, former, time, link, keys, delays, numbered)
        if cost < 0:
            continue
        if not numbered:
            unsure = unsure_of(later, former, link, keys, delays)
            near = min(unsure, UNSURE_NS)
            slack = max(near, unsure // 4)
            if cost > slack and after == last[k]:
                chains = (max(0, opened - MOST_OPEN), opened, MOST_OPEN)
                if is_awaited(rows, i, slots[0], k, chains, last, seen, time, links, cost, slack):
                    continue
        # Of two about equal, the longer one: a copy at the former point begins a chain of its own.
        gain = length[k] - (length[best % MOST_OPEN] if best >= 0 else 0)
        close = best >= 0 and abs(cost - best_cost) <= near and gain != 0
        if best < 0 or (gain > 0 if close else cost < best_cost):
            best, best_cost, best_unsure = chain, cost, unsure
        costs[fitting], fits[fitting] = cost, chain
        fitting += 1
    alike = may_be = 0
    for fit in range(fitting):
        alike += costs[fit] <= 4 * best_cost + min(best_unsure, UNSURE_NS)
        may_be += costs[fit] <= 4 * best_cost + best_unsure
    if alike > 1 and not numbered:
        best = in_turn(slots[0], i, best, (fits[:fitting], last, MOST_OPEN), to_come)
    return best, may_be


@inner
def _mark_overlaps(
    rows: Codes, time: Times, base: int, opened: int, journey: Codes, copy_of: Codes, ambiguous: Any
) -> None:
    # Equal packets whose stays overlap: the rows of one may be the other's.
    first = filled(opened, np.iinfo(np.int64).max)
    last = filled(opened, np.iinfo(np.int64).min)
    for row in rows:
        if copy_of[row] >= 0:
            continue
        chain = journey[row] - base
        first[chain] = min(first[chain], time[row])
        last[chain] = max(last[chain], time[row])
    unsure = np.zeros(opened, np.bool_)
    open_until, latest = np.iinfo(np.int64).min // 2, -1
    for chain in range(opened):  # opened in order of time
        if latest >= 0 and first[chain] <= open_until + UNSURE_NS:
            unsure[chain] = unsure[latest] = True
        if last[chain] > open_until:
            open_until, latest = last[chain], chain
    for row in rows:
        if copy_of[row] < 0:
            ambiguous[row] = unsure[journey[row] - base]


@inner_plain
def _buffer_chain(rows: Codes, i: int, lifetime: Codes, journey: Codes, base: int) -> int:
    # The chain that holds the kernel buffer of row i, -1 where none does or buffers are not known.
    if len(lifetime) == 0 or lifetime[rows[i]] < 0:
        return -1
    for j in range(i - 1, max(i - MOST_ROWS_OF_ONE_PACKET, 0) - 1, -1):
        if lifetime[rows[j]] == lifetime[rows[i]]:
            return int(journey[rows[j]] - base)
    return -1


@inner
def _chain(
    p: Any, rows: Codes, slots: Any, known: Any, time: Times, links: Any, limits: Any, out: Any
) -> Any:
    # Rows in time order are added to the chain of their buffer, else to the one they fit best, or
    # begin a new one.
    body, lifetime, _ = known
    journey, candidates, base = out
    slot, slots_used, _ = slots
    last = np.empty(MOST_OPEN, np.int64)
    prev = np.empty(len(rows), np.int64)  # the row of the same chain before each, -1 none
    seen = filled(slots_used * MOST_OPEN, -1)
    length = filled(MOST_OPEN, 0)
    bytes_of = np.zeros(MOST_OPEN, np.uint64)
    to_come = filled(slots_used, 0)
    for each in slot:
        to_come[each] += 1
    state = (last, prev, seen, length)
    opened: Any = np.int64(0)  # not a literal, for which callees would be compiled apart
    for i in range(len(rows)):
        row = rows[i]
        own = body[row] if len(body) else np.uint64(0)
        said = (bytes_of, own)
        best, fitting = _buffer_chain(rows, i, lifetime, journey, base), 1
        if best < 0 or best + MOST_OPEN < opened:
            best, fitting = _best(
                p, rows, i, slots, opened, state, said, time, links, limits, to_come
            )
        to_come[slot[i]] -= 1
        if best < 0:
            best = opened
            length[best % MOST_OPEN] = 0
            bytes_of[best % MOST_OPEN] = 0
            opened += 1
        k = best % MOST_OPEN
        if own != 0:
            bytes_of[k] = own
        _add(p, rows, i, k, state, slots, time, links)
        seen[slot[i] * MOST_OPEN + k] = best
        journey[row] = base + best
        candidates[row] = max(fitting, 1)
    return opened


@inner_plain
def _are_two(known: Any, a: int, b: int) -> bool:
    # Their bytes differ, they quote two tuples, or they are in two kernel buffers.
    body, lifetime, alike = known
    if alike[a] != alike[b]:
        return True
    if len(body) and body[a] != 0 and body[b] != 0 and body[a] != body[b]:
        return True
    return bool(
        len(lifetime) and lifetime[a] >= 0 and lifetime[b] >= 0 and lifetime[a] != lifetime[b]
    )


@inner
def _drop_copies(
    p: Any, rows: Codes, slots: Any, known: Any, time: Times, base: int, opened: int,
    journey: Codes, copy_of: Codes,
) -> int:  # fmt: skip
    # A chain all of whose rows have twins in one longer chain was copied: the packet went on.
    slot, slots_used, _ = slots
    length = filled(opened, 0)
    longest = COPY_NS if has_id(p, rows[0]) else SOON_NS
    twin = filled(len(rows), -1)
    other = filled(opened, -1)  # -1 no twin yet, -2 not a copy
    latest = filled(slots_used, -1)
    for i in range(len(rows)):
        length[journey[rows[i]] - base] += 1
    for i in range(len(rows)):
        near = latest[slot[i]]
        latest[slot[i]] = i
        if near >= 0 and time[rows[i]] - time[rows[near]] <= longest:
            if _are_two(known, rows[i], rows[near]):
                other[journey[rows[i]] - base] = other[journey[rows[near]] - base] = -2
                continue
            twin[i] = near
            if twin[near] < 0:
                twin[near] = i
    for i in range(len(rows)):
        chain = journey[rows[i]] - base
        to = journey[rows[twin[i]]] - base if twin[i] >= 0 else -2
        if to >= 0 and (length[to] <= length[chain] or to == chain):
            to = -2
        other[chain] = to if other[chain] in (-1, to) else -2
    number = filled(opened, -1)
    count = 0
    for chain in range(opened):
        if other[chain] < 0:
            number[chain] = count
            count += 1
    for i in range(len(rows)):
        chain = journey[rows[i]] - base
        if number[chain] >= 0:
            journey[rows[i]] = base + number[chain]
        else:
            copy_of[rows[i]] = rows[twin[i]]
    return count


@jit
def _assemble(
    p: Any, ttl: Codes, order: Codes, starts: Codes, stream: Codes, known: Any, flow_class: Codes,
    until_ns: Codes, time: Times, links: Any, limits: Any, out: Any,
) -> int:  # fmt: skip
    journey, copy_of, candidates, ambiguous, repeated = out
    count = int(starts[0])  # 0, but not as a literal, which would be compiled apart
    for group in range(len(starts) - 1):
        rows = order[starts[group] : starts[group + 1]]
        start = 0
        while start < len(rows):
            stop = start + 1
            while stop < len(rows) and flow_class[rows[stop]] == flow_class[rows[start]]:
                stop += 1
            part = rows[start:stop]
            start = stop
            if _is_line(ttl, part, stream, known[0], time, limits[1]) and not (
                _is_sent_again(p[part[0]]) and _pauses(p, part, until_ns, time, limits[0])
            ):
                for row in part:
                    journey[row] = count
                count += 1
                continue
            part = part.copy()
            begin: Any = np.int64(0)  # as in all other calls: one compilation
            sort_rows(part, begin, len(part), time, ttl, stream)
            slots = slots_of(p, part, stream, links)
            for row in part:
                repeated[row] = True
            opened = _chain(
                p, part, slots, known, time, links, limits, (journey, candidates, count)
            )
            opened = _drop_copies(p, part, slots, known, time, count, opened, journey, copy_of)
            _mark_overlaps(part, time, count, opened, journey, copy_of, ambiguous)
            count += opened
    return count


def assemble(
    packets: Any,
    identity: Identity,
    groups: tuple[Codes, Codes],
    streams: Streams,
    copy_of: Codes,
    lifetime: Codes,
    time: Times,
    links: LinkOrder,
    limits: tuple[int, int],
    alike: Codes,
) -> Assembly:
    """Return the journeys of all rows; groups are bursts sorted by class, falling TTL, time.

    `lifetime`: of the kernel buffer of each row, -1 unknown; no element where none was watched.

    `alike`: the streams of rows, apart where copies cannot be of one packet. `limits`: the longest
    possible hop and how far times may err, both in nanoseconds. Rows in `copy_of` are not in the
    groups and go with the row they copy.
    """
    rows = len(packets)
    out = Assembly(
        np.full(rows, -1, np.int64),
        copy_of,
        np.ones(rows, np.int32),
        np.zeros(rows, np.bool_),
        np.zeros(rows, np.bool_),
        0,
    )
    out.journeys = _assemble(
        packets, identity.ttl, *groups, streams.stream, (identity.body, lifetime, alike),
        streams.flow_class, watched_until(identity, time), time,
        (links.link, links.keys, links.votes, delays_of(links)), limits,
        (out.journey, out.copy_of, out.candidates, out.ambiguous, out.repeated),
    )  # fmt: skip
    copied = np.flatnonzero(out.copy_of >= 0)
    for _ in range(8):  # a copy of a copy is a copy of the first
        above = out.copy_of[out.copy_of[copied]]
        if not (above >= 0).any():
            break
        out.copy_of[copied] = np.where(above >= 0, above, out.copy_of[copied])
    out.journey[copied] = out.journey[out.copy_of[copied]]
    return out
