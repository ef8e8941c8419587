"""IPv4 ids that do not last: firewalls that scrub them, balancers and offloads that zero them.

A packet that two places show once each, with bytes that no other has, is one packet whatever its
id. Where ids of such packets differ between two places, and hardly ever agree, something between
them gives new ones: there they tell nothing.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.jit import inner_plain, jit
from tracer.core.protocols import TCP
from tracer.correlate.hashing import Codes, Keys, factorise, first_at_least, grouped

MOST_PLACES = 16  # of one packet that are compared with each other
MOST_ROWS = 64  # of one group that each is compared with
ENOUGH = 3  # packets with two ids, so that it is no chance
SELDOM = 20  # as many times more often two ids than one
SAMPLE = 100_000  # rows that show it


@inner_plain
def is_told_apart(r: Any, with_digest: Any) -> bool:
    """Return whether a packet is known without its IPv4 id: by TCP numbers, or by its bytes."""
    if r.ip_version != 4 or r.ip_id < 0 or r.frag_offset > 0 or r.more_fragments > 0:
        return False
    if r.proto == TCP:
        return bool(r.tcp_seq >= 0)
    if r.icmp_type >= 0 and r.icmp_id < 0:  # told by what it quotes
        return False
    return bool(with_digest and r.payload_digest != 0 and r.payload_len >= 8)


def sampled_below(rows: int) -> np.uint64:
    """Return below which hash rows are part of a sample of about SAMPLE of so many rows."""
    return np.uint64(min(1.0, SAMPLE / max(rows, 1)) * (2**64 - 2**12))


@inner_plain
def _by_place(p: Any, rows: Codes, place: Codes, shown: Codes) -> tuple[int, bool]:
    # A row of each place of a group; whether some place shows several ids, or there are too many.
    count = 0
    for row in rows:
        k = 0
        while k < count and place[shown[k]] != place[row]:
            k += 1
        if k == count:
            if count == len(shown):
                return count, True
            shown[k] = row
            count += 1
        elif p[shown[k]].ip_id != p[row].ip_id:
            return count, True
    return count, False


@inner_plain
def _may_be_one(p: Any, a: int, b: int) -> bool:
    # NAT leaves one end as it is.
    x, y = p[a], p[b]
    src = x.src_hi == y.src_hi and x.src_lo == y.src_lo
    return bool(src or (x.dst_hi == y.dst_hi and x.dst_lo == y.dst_lo))


@inner_plain
def _is_evidence(p: Any, a: int, b: int) -> bool:
    # Two hosts that ping one other may send equal bytes, and count alike.
    x, y = p[a], p[b]
    if x.icmp_seq < 0:
        return _may_be_one(p, a, b)
    same = x.src_hi == y.src_hi and x.src_lo == y.src_lo and x.icmp_id == y.icmp_id
    return bool(same and x.dst_hi == y.dst_hi and x.dst_lo == y.dst_lo)


@inner_plain
def _key(p: Any, a: int, b: int, place: Codes) -> Any:
    # From the place with the higher TTL to the other: what changes ids may do so one way only.
    x, y = p[a], p[b]
    turned = y.ttl > x.ttl or (y.ttl == x.ttl and place[b] < place[a])
    first, second = (place[b], place[a]) if turned else (place[a], place[b])
    routed = x.ttl != y.ttl
    sort = np.uint64(4 * first + 2 * routed + (x.proto == TCP))
    return (sort << np.uint64(32)) | np.uint64(second)


@jit
def _compared(p: Any, order: Codes, starts: Codes, place: Codes, keys: Keys, same: Any) -> int:
    # Fills in each pair of places that a packet shows, and whether its id is the same at both.
    shown = np.empty(MOST_PLACES, np.int64)
    count = 0
    for group in range(len(starts) - 1):
        places, several = _by_place(p, order[starts[group] : starts[group + 1]], place, shown)
        if several:
            continue
        for i in range(places):
            for j in range(i):
                if not _is_evidence(p, shown[i], shown[j]):
                    continue
                keys[count] = _key(p, shown[i], shown[j], place)
                same[count] = p[shown[i]].ip_id == p[shown[j]].ip_id
                count += 1
    return count


@jit
def _marked(p: Any, order: Codes, starts: Codes, place: Codes, changing: Keys, out: Any) -> None:
    # Rows of packets that passed where ids change. What a place shows with several ids was sent
    # several times: the numbers of TCP and of echoes tell nearly as much, of others the id does
    # until it is changed.
    shown = np.empty(MOST_PLACES, np.int64)
    for group in range(len(starts) - 1):
        rows = order[starts[group] : starts[group + 1]]
        _, several = _by_place(p, rows, place, shown)
        if several and p[rows[0]].proto != TCP and p[rows[0]].icmp_seq < 0:
            continue
        for i in range(len(rows)):
            for j in range(min(len(rows), MOST_ROWS)):
                a, b = rows[i], rows[j]
                if place[a] == place[b] or not _may_be_one(p, a, b):
                    continue
                key = _key(p, a, b, place)
                at = first_at_least(changing, key)
                if at < len(changing) and changing[at] == key:
                    out[a] = out[b] = True


def _groups(content: Keys, rows: Codes) -> tuple[Codes, Codes]:
    codes, firsts = factorise(content)
    order, starts = grouped(codes, len(firsts))
    return rows[order], starts


def changing_between(packets: Any, place: Codes, rows: Codes, content: Keys) -> Keys:
    """Return between which places ids change (sorted keys), as a sample of rows shows.

    `content` (uint64, of each of `rows`) is equal for equal packets, whatever their ids.
    """
    order, starts = _groups(content, rows)
    places = np.minimum(np.diff(starts), MOST_PLACES)
    most = int((places * (places - 1) // 2).sum())
    keys, same = np.empty(most, np.uint64), np.empty(most, np.bool_)
    count = _compared(packets, order, starts, place, keys, same)
    keys, same = keys[:count], same[:count]
    codes, where = factorise(keys)
    alike = np.bincount(codes[same], minlength=len(where))
    other = np.bincount(codes[~same], minlength=len(where))
    return np.sort(keys[where[(other >= ENOUGH) & (other >= SELDOM * alike)]])


def rows_without_id(
    packets: Any, place: Codes, rows: Codes, content: Keys, changing: Keys
) -> NDArray[np.bool_]:
    """Return of which rows (a mask by row) the id tells nothing; `rows`, `content`: of all."""
    out = np.zeros(len(packets), np.bool_)
    _marked(packets, *_groups(content, rows), place, changing, out)
    return out
