"""Segments that may be one although their TCP numbers differ: the same bytes under the same IP id.

That is asked of every batch, so it looks at the first row of each journey only.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.jit import inner_plain, jit
from tracer.core.mixing import mix
from tracer.core.protocols import TCP
from tracer.correlate.hashing import Codes, Keys, factorise
from tracer.correlate.nat.streams import Groups

_FEWEST = 2  # segments that say anything


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


def candidates(packets: Any, place: Codes, layout: Groups) -> Codes:
    """Return rows of segments that other journeys at other places have with other numbers.

    `place` of each row; `layout`: rows in order of journeys, and where each journey begins. A row
    a journey at most; none in nearly all captures.
    """
    segments, keys = _first_segments(packets, layout)
    code, firsts = factorise(keys)
    unlike: NDArray[np.bool_] = _are_unlike(packets, place, segments, code, firsts)
    if np.count_nonzero(unlike) < _FEWEST:
        return np.empty(0, np.int64)
    chosen: Codes = segments[unlike[code]]
    return chosen
