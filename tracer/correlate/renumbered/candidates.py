"""Segments that may be one although their TCP numbers differ: the same bytes under the same IP id.

That is asked of every batch, so it looks at the first row of each journey only.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.jit import inner_plain, jit
from tracer.core.mixing import mix, mixed
from tracer.core.protocols import TCP
from tracer.correlate.hashing import Codes, Keys, factorise
from tracer.correlate.nat.streams import Groups
from tracer.correlate.renumbered.pairs import pairs_of

_FEWEST = 2  # segments that say anything
_FEW = 4  # flows: the two of one connection, and another translation of each


@inner_plain
def has_own_bytes(r: Any) -> bool:
    """Return whether a record is of a TCP segment with bytes that are known."""
    return bool(
        r.proto == TCP
        and r.payload_len > 0
        and r.payload_digest != 0
        and r.tcp_ack >= 0
        and r.tcp_flags >= 0
        and r.frag_offset <= 0
    )


@inner_plain
def segment_key(r: Any) -> Any:
    """Return a hash of what names a segment wherever it is seen, whatever its numbers are.

    A digest is of the first bytes, and a super-packet has the id of its first segment.
    """
    return mix(mix(np.uint64(23), r.payload_digest), np.uint64(r.ip_id))


@jit
def _first_segments(p: Any, layout: Any) -> tuple[Codes, Keys]:
    rows, starts = layout
    found, keys = np.empty(len(starts) - 1, np.int64), np.empty(len(starts) - 1, np.uint64)
    count = 0
    for journey in range(len(starts) - 1):
        row = rows[starts[journey]]
        if has_own_bytes(p[row]):
            found[count], keys[count] = row, segment_key(p[row])
            count += 1
    return found[:count].copy(), keys[:count].copy()


@jit
def _are_unlike(p: Any, place: Codes, segments: Codes, code: Codes, firsts: Codes) -> Any:
    # Of each code whether a segment has other numbers than the first one, at another place.
    out = np.zeros(len(firsts), np.bool_)
    for i in range(len(segments)):
        a, b = segments[firsts[code[i]]], segments[i]
        if a == b or place[a] == place[b]:
            continue
        if p[a].tcp_seq != p[b].tcp_seq or p[a].tcp_ack != p[b].tcp_ack:
            out[code[i]] = True
    return out


def _common(packets: Any, flow: Keys, segments: Codes, chosen: Codes) -> Keys:
    # Digests, sorted, of bytes that more than _FEW flows send; `chosen` are the rows asked about.
    digest = packets["payload_digest"]
    asked = np.unique(digest[chosen])
    mine = digest[segments]
    at = np.minimum(np.searchsorted(asked, mine), max(len(asked) - 1, 0))
    there = np.flatnonzero(asked[at] == mine)
    code = at[there]
    _, own = factorise(mixed(flow[segments[there]], code))
    found: Keys = asked[np.bincount(code[own], minlength=len(asked)) > _FEW]
    return found


@dataclass(frozen=True, slots=True)
class Candidates:
    """`rows` of segments, and sorted digests of bytes that are `common`: many flows send them."""

    rows: Codes
    common: Keys

    def are_told(self, packets: Any, flow: Keys, first: Codes, second: Codes) -> NDArray[np.bool_]:
        """Return whether pairs of rows of equal segments are one by more than their bytes and id.

        Ids of two connections that send the same bytes may be in step all along, so between flows
        with other addresses or ports an id says something only of bytes that few send. A time
        stamp that was left alone says it of all.
        """
        stamped = (packets["tcp_tsval"][first] >= 0) & (packets["tcp_tsval"][second] >= 0)
        kept = [packets[n][first] == packets[n][second] for n in ("tcp_tsval", "tcp_tsecr")]
        bytes_of = packets["payload_digest"][first]
        own = (flow[first] == flow[second]) | ~np.isin(bytes_of, self.common)
        told: NDArray[np.bool_] = stamped & (kept[0] | kept[1])
        told |= own & (packets["ip_id"][first] > 0)
        return told


def candidates(packets: Any, place: Codes, flow: Keys, layout: Groups) -> Candidates:
    """Return segments that other journeys at other places have with other numbers.

    `place` and `flow` of each row; `layout`: rows in order of journeys, and where each begins. A
    row a journey at most; none in nearly all captures. Where flows differ, two segments of
    different bytes say so alike.
    """
    segments, keys = _first_segments(packets, layout)
    code, firsts = factorise(keys)
    unlike: NDArray[np.bool_] = _are_unlike(packets, place, segments, code, firsts)
    if np.count_nonzero(unlike) < _FEWEST:
        return Candidates(segments[:0], keys[:0])
    chosen = np.flatnonzero(unlike[code])
    chosen = chosen[np.argsort(keys[chosen], kind="stable")]
    rows = segments[chosen]
    found = Candidates(rows, _common(packets, flow, segments, rows))
    first, second = (rows[at] for at in pairs_of(keys[chosen], flow[rows]))
    apart = (place[first] != place[second]) & found.are_told(packets, flow, first, second)
    first, second = first[apart], second[apart]
    swapped = flow[first] > flow[second]
    first, second = np.where(swapped, second, first), np.where(swapped, first, second)
    pairs = _repeated(packets, flow, first, second)
    return Candidates(np.unique(np.concatenate(pairs)), found.common)


def _repeated(packets: Any, flow: Keys, first: Codes, second: Codes) -> tuple[Codes, Codes]:
    # Pairs of one flow, and those of two of which other pairs differ by as much.
    shift = [(packets[n][second] - packets[n][first]) & 0xFFFFFFFF for n in ("tcp_seq", "tcp_ack")]
    same = flow[first] == flow[second]
    key = mixed(mixed(mixed(flow[first], flow[second]), shift[0]), shift[1])
    group, _ = factorise(key)
    _, own = factorise(mixed(key, packets["payload_digest"][first]))
    count = np.bincount(group[own], minlength=int(group.max(initial=-1)) + 1)
    kept = (same & ((shift[0] | shift[1]) > 0)) | (~same & (count[group] >= _FEWEST))
    return first[kept], second[kept]
