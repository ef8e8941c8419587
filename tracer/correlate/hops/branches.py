"""Which hop each hop came from: a line, except for copies, segments and floods."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.batch import ObservationBatch
from tracer.core.jit import inner_plain, jit, jit_plain
from tracer.correlate.hashing import Codes
from tracer.correlate.hops.strays import is_astray, last_on_way
from tracer.correlate.packets.identity import Identity
from tracer.correlate.packets.one_link import is_for_group
from tracer.correlate.packets.spans import is_piece, span
from tracer.correlate.packets.taken_up import came_from, is_doubled

MOST_PLACES = 2048  # of which it is noted which are neighbours: a table of four megabytes

MOST_SIDES = 160  # of which it is noted which lie between two: a table of four megabytes

ENOUGH_JOURNEYS = 200_000  # that show every pair of places which matters

#: Hops of a journey that is still a tree. What has more went in circles, or is many equal packets
#: that nothing tells apart: to look through all of them for each would take forever.
MOST_HOPS = 1024

MOST_BACK = 4096  # hops that are looked through for the parent of a segment or fragment


def parents(
    batch: ObservationBatch, identity: Identity, hops: Codes, starts: Codes, copy_of: Codes,
    numbers: Codes, stray: NDArray[np.bool_],
) -> tuple[Codes, Codes]:  # fmt: skip
    """Return for each hop the 1-based place in its journey of its parent hop, 0 for the first.

    And the journeys of packets that went two ways, as `taken_up` tells.

    A copy points to what it copies, a segment or a fragment to the latest hop elsewhere whose bytes
    overlap its own, a flooded frame (for a group, or `stray`: off the way to its station, by row,
    no element where none is) to where it was in the same tunnel, else to where it came to its
    namespace or host, and there to the place beside which other packets show it; where nothing
    shows that, to where the flood parted; a packet that was bridged and routed as `taken_up` tells.
    Of journeys with more than MOST_HOPS hops these two are a line.
    Any other hop to the one before that is no copy. `hops` are rows, those of journey j from
    `starts[j]` on; `numbers` of bytes as `Assembly` has them.
    """
    packets, place = batch.packets, identity.place
    places = int(place.max(initial=-1)) + 1
    near, sides = np.zeros((0, 0), np.bool_), np.zeros((0, 0, 0), np.bool_)
    is_end = np.zeros(0, np.bool_)
    flooded = bool(len(stray)) or _is_flooded(identity.dst_mac, hops, starts)
    if flooded and places <= MOST_PLACES:
        of_group = (identity.dst_mac, stray)
        near, sides = _neighbours(of_group, identity.ttl, hops, starts, place, copy_of, places)
        is_end = np.asarray(near.any(axis=1))
        is_end[: len(sides)] &= ~sides.any(axis=(0, 2))
    # Hosts are ranked by name: what has none comes first.
    nameless = 0 if any(not point.host for point in batch.points) else -1
    spaces = (identity.netns, identity.host, nameless, (near, sides, is_end), identity.tunnel)
    own = (identity.ttl, (identity.src_mac, identity.dst_mac), identity.flow, identity.length)
    found: tuple[Codes, Codes] = _parents(
        packets, hops, starts, place, spaces, own, copy_of, numbers, identity.fragmented, stray
    )
    return found


@jit_plain
def _is_flooded(dst_mac: Any, hops: Codes, starts: Codes) -> bool:
    for journey in range(len(starts) - 1):
        start, stop = starts[journey], starts[journey + 1]
        if stop - start > 2 and is_for_group(dst_mac[hops[start]]):
            return True
    return False


@jit
def _neighbours(
    flooded: Any, ttl: Codes, hops: Codes, starts: Codes, place: Codes, copy_of: Codes, places: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    # Places that frames to one station show one after the other, with no router between; and (if
    # they are few) places before and after which frames are shown at a third: [a, between, b]. Of
    # very many journeys a part is looked at, from all of the time.
    dst_mac, stray = flooded
    near = np.zeros((places, places), np.bool_)
    few = places if places <= MOST_SIDES else 0
    sides = np.zeros((few, few, few), np.bool_)
    for journey in range(0, len(starts) - 1, max(len(starts) // ENOUGH_JOURNEYS, 1)):
        start, stop = starts[journey], starts[journey + 1]
        astray = len(stray) > 0 and is_astray(stray, hops, start, stop)
        a = c = np.int64(-1)
        for i in range(start, stop):
            b = hops[i]
            if astray and stray[b]:
                continue
            if a >= 0 and ttl[a] == ttl[b] and copy_of[b] < 0 and not is_for_group(dst_mac[b]):
                near[place[a], place[b]] = near[place[b], place[a]] = True
                if few and c >= 0 and ttl[c] == ttl[a] and copy_of[a] < 0:
                    x, y, z = place[c], place[a], place[b]
                    sides[x, y, z] = sides[z, y, x] = True
            a, c = b, a
    return near, sides


@jit
def _parents(
    p: Any, hops: Codes, starts: Codes, place: Codes, spaces: Any, own: Any, copy_of: Codes,
    numbers: Codes, fragmented: bool, stray: NDArray[np.bool_],
) -> tuple[Codes, Codes]:  # fmt: skip
    out = np.zeros(len(hops), np.int64)
    ttl, macs, flow, length = own
    twice = np.zeros(len(starts) - 1, np.bool_)
    at = _places_of_long(hops, starts, len(ttl))
    for journey in range(len(starts) - 1):
        start, stop = starts[journey], starts[journey + 1]
        may_part = 2 < stop - start <= MOST_HOPS
        doubled = may_part and is_doubled(hops, start, stop, ttl, macs, place)
        twice[journey] = doubled
        astray = may_part and len(stray) > 0 and is_astray(stray, hops, start, stop)
        cut = not _are_as_long(hops, start, stop, length)  # only then segments have to be looked at
        last = start  # but for copies: one may be later than what its packet is next seen as
        for i in range(start + 1, stop):
            row = hops[i]
            if copy_of[hops[i - 1]] < 0:
                last = i - 1
            before = last
            if astray:
                before = last_on_way(stray, hops, start, before, copy_of)
            out[i] = before + 1 - start
            if copy_of[row] >= 0:
                out[i] = _where(at, hops, start, i, copy_of[row]) + 1 - start
            elif may_part and ((astray and stray[row]) or is_for_group(macs[1][row])):
                found = _came_by(p, hops, start, i, place, spaces, out)
                if found < 0:
                    found = _parting(hops, start, before, out, copy_of)
                    found = _passed(p, hops, start, found, i, place, spaces, out)
                out[i] = found + 1 - start
            elif fragmented and (is_piece(p[row]) or is_piece(p[hops[before]])):
                out[i] = _covering(p, hops, start, i, before, place, copy_of) + 1 - start
            elif doubled:
                out[i] = came_from(hops, start, i, before, ttl, macs, flow, copy_of) + 1 - start
            elif cut and numbers[row] >= 0:
                found = _overlapping(p, numbers, hops, start, i, before, place, copy_of)
                out[i] = found + 1 - start
    return out, np.flatnonzero(twice)


@inner_plain
def _are_as_long(hops: Codes, start: int, stop: int, length: Any) -> bool:
    i = start + 1
    while i < stop and length[hops[i]] == length[hops[start]]:
        i += 1
    return i >= stop


@jit
def _places_of_long(hops: Codes, starts: Codes, rows: int) -> Codes:
    # Where among the hops each row is, of journeys with many hops; no element where none has.
    at = np.empty(0, np.int64)
    for journey in range(len(starts) - 1):
        start, stop = starts[journey], starts[journey + 1]
        if stop - start > MOST_HOPS:
            if len(at) == 0:
                at = np.full(rows, -1)
            for i in range(start, stop):
                at[hops[i]] = i
    return at


@inner_plain
def _where(at: Codes, hops: Codes, start: int, i: int, row: int) -> int:
    if len(at) and at[row] >= 0:
        return at[row] if start <= at[row] < i else i - 1
    for j in range(start, i):
        if hops[j] == row:
            return j
    return i - 1


@inner_plain
def _may_pass(
    p: Any, hops: Codes, start: int, j: int, i: int, place: Codes, known: Any, parent: Codes
) -> bool:
    # Whether a frame may go on from hop j to hop i: not where frames to one station come to j or
    # from it but none passes (`is_end`), nor where j lies between a third place and both, that of
    # hop i and that which hop j came from.
    _, sides, is_end = known
    if len(sides) == 0 or parent[j] == 0:
        return True
    before = hops[start + parent[j] - 1]
    if p[before].ttl != p[hops[j]].ttl:
        return True
    came, here, on = place[before], place[hops[j]], place[hops[i]]
    if is_end[here]:
        return False
    for third in range(len(sides)):
        if sides[came, here, third] and sides[on, here, third]:
            return False
    return True


@inner_plain
def _passed(
    p: Any, hops: Codes, start: int, last: int, i: int, place: Codes, spaces: Any, parent: Codes
) -> int:
    # The last of the hops that led to `last` which hop i may have come from.
    _, _, _, known, _ = spaces
    while parent[last] and not _may_pass(p, hops, start, last, i, place, known, parent):
        last = start + parent[last] - 1
    return last


@inner_plain
def _came_by(
    p: Any, hops: Codes, start: int, i: int, place: Codes, spaces: Any, parent: Codes
) -> int:
    # -1 where nothing shows it.
    netns, host, nameless, known, tunnel = spaces
    near, _, _ = known
    row = hops[i]
    if len(tunnel) and tunnel[row]:
        for j in range(i - 1, start - 1, -1):
            if tunnel[hops[j]] == tunnel[row]:
                return j
    if netns[row] >= 0:
        for j in range(start, i):
            if netns[hops[j]] == netns[row] and p[hops[j]].ttl == p[row].ttl:
                return j
    if (netns[row] >= 0 or host[row] == nameless) and len(near):
        for j in range(start, i):
            if near[place[hops[j]], place[row]] and _may_pass(
                p, hops, start, j, i, place, known, parent
            ):
                return j
    for j in range(start, start if host[row] == nameless else i):
        if host[hops[j]] == host[row] and p[hops[j]].ttl == p[row].ttl:
            return _at_tunnel(p, hops, start, j, i, place, spaces, parent)
    for j in range(start, i if len(near) else start):
        if near[place[hops[j]], place[row]] and _may_pass(
            p, hops, start, j, i, place, known, parent
        ):
            return j
    return -1


@inner_plain
def _at_tunnel(
    p: Any, hops: Codes, start: int, j: int, i: int, place: Codes, spaces: Any, parent: Codes
) -> int:
    # Of a frame that came to the host at hop j, and is at hop i in a tunnel, or out of one: the hop
    # beside it where the tunnel begins or ends, j where none is known.
    _, host, _, known, tunnel = spaces
    near, _, _ = known
    row = hops[i]
    if len(tunnel) == 0 or len(near) == 0 or tunnel[hops[j]] == tunnel[row]:
        return j
    for k in range(j + 1, i):
        beside = near[place[hops[k]], place[row]] and tunnel[hops[k]] == 0
        beside = beside and host[hops[k]] == host[row] and p[hops[k]].ttl == p[row].ttl
        if beside and _may_pass(p, hops, start, k, i, place, known, parent):
            return k
    return j


@inner_plain
def _parting(hops: Codes, start: int, last: int, parent: Codes, copy_of: Codes) -> int:
    # The hop before may be on another branch: what both surely come from is where the first parted.
    found = i = last
    while i > start:
        above = int(parent[i]) - 1 + start
        for j in range(start, last + 1):
            if j != i and parent[j] == parent[i] and copy_of[hops[j]] < 0:
                found = above
        i = above
    return found


@inner_plain
def _overlapping(
    p: Any, numbers: Codes, hops: Codes, start: int, i: int, before: int, place: Codes,
    copy_of: Codes,
) -> int:  # fmt: skip
    row, number = p[hops[i]], numbers[hops[i]]
    last = p[hops[before]]
    if numbers[hops[before]] == number and last.payload_len == row.payload_len:
        return before
    for j in range(before, max(start, before - MOST_BACK) - 1, -1):
        other = p[hops[j]]
        if copy_of[hops[j]] >= 0 or (place[hops[j]] == place[hops[i]] and other.ttl == row.ttl):
            continue
        ahead = (number - numbers[hops[j]]) & 0xFFFFFFFF
        behind = (numbers[hops[j]] - number) & 0xFFFFFFFF
        if ahead < max(other.payload_len, 1) or behind < max(row.payload_len, 1):
            return j
    return before


@inner_plain
def _covering(
    p: Any, hops: Codes, start: int, i: int, before: int, place: Codes, copy_of: Codes
) -> int:
    # As `_overlapping`, of the bytes of a datagram.
    row = p[hops[i]]
    begin, end = span(row)
    for j in range(before, max(start, before - MOST_BACK) - 1, -1):
        other = p[hops[j]]
        if copy_of[hops[j]] >= 0 or (place[hops[j]] == place[hops[i]] and other.ttl == row.ttl):
            continue
        first, last = span(other)
        if first < end and begin < last:
            return j
    return before
