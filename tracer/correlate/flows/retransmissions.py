"""TCP bytes sent again: a journey of its own that names the transmission before it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.jit import jit
from tracer.correlate.hashing import Codes, filled

SYN, FIN, RST = 0x02, 0x01, 0x04
LOOK_BACK = 32


def retransmissions(packets: Any, firsts: Codes, of_class: Codes, first_ns: Codes) -> Codes:
    """Return for each journey the latest earlier one that carried the same TCP bytes, -1 for none.

    The same class, and a sequence range (SYN and FIN count as a byte) that equals an earlier one
    or lies inside it; else one that shares bytes with it, for a sender puts small segments together
    when it sends them again. A keep-alive (one byte or none before what was acknowledged) repeats
    none.
    """
    found = np.full(len(firsts), -1, np.int64)
    order, ranges, opens = _ranges(packets, firsts, of_class, first_ns)
    if len(order) >= 2:
        earlier = _earlier(*ranges, opens)
        has = np.flatnonzero(earlier >= 0)
        found[order[has]] = order[earlier[has]]
    return found


def sent_again(
    packets: Any, firsts: Codes, of_class: Codes, first_ns: Codes, which: Codes
) -> NDArray[np.bool_]:
    """Return of which journeys of `which` (indices) TCP bytes were sent again, shape (which,)."""
    chosen = np.flatnonzero(np.isin(of_class, of_class[which]))
    order, ranges, _ = _ranges(packets, firsts[chosen], of_class[chosen], first_ns[chosen])
    again = np.zeros(len(firsts), np.bool_)
    again[chosen[order]] = _again(*ranges)
    found: NDArray[np.bool_] = again[which]
    return found


# Journeys with TCP bytes by class, start of their range, falling size and time; with that: start,
# size, class and time of each, and whether it opens or ends the stream.
def _ranges(
    packets: Any, firsts: Codes, of_class: Codes, first_ns: Codes
) -> tuple[Codes, tuple[Codes, Codes, Codes, Codes], NDArray[np.bool_]]:
    flags = packets["tcp_flags"][firsts].astype(np.int64)
    size = packets["payload_len"][firsts] + ((flags & SYN) > 0) + ((flags & FIN) > 0)
    chosen = np.flatnonzero((flags >= 0) & (size > 0) & (flags & RST == 0) & (of_class >= 0))
    begin, size = packets["tcp_seq"][firsts[chosen]], size[chosen].astype(np.int64)
    order = np.lexsort((first_ns[chosen], -size, begin, of_class[chosen]))
    opens = (flags[chosen] & (SYN | FIN)) > 0
    ranges = (begin[order], size[order], of_class[chosen][order], first_ns[chosen][order])
    return chosen[order], ranges, opens[order]


@jit
def _earlier(
    begin: Codes, size: Codes, of_class: Codes, first_ns: Codes, opens: NDArray[np.bool_]
) -> Codes:
    # By class, range start, falling size, time: what holds a range comes before it, or is equal.
    out = filled(len(begin), -1)
    for i in range(len(begin)):
        best = -1
        shared = -1  # the latest that has some of its bytes
        for back in range(1, LOOK_BACK + 1):
            j = i - back
            if j < 0 or of_class[j] != of_class[i]:
                break
            if size[i] == 1 and not opens[i] and begin[j] != begin[i]:
                continue
            holds = begin[j] + size[j] >= begin[i] + size[i] and opens[j] == opens[i]
            later = best < 0 or first_ns[j] > first_ns[best]
            if holds and later and first_ns[j] < first_ns[i]:
                best = j
            if begin[j] + size[j] > begin[i] and first_ns[j] < first_ns[i]:
                shared = j if shared < 0 or first_ns[j] > first_ns[shared] else shared
        for j in range(i + 1, min(i + 1 + LOOK_BACK, len(begin) if best < 0 else 0)):
            if of_class[j] != of_class[i] or begin[j] >= begin[i] + size[i]:
                break
            if first_ns[j] < first_ns[i] and (size[i] > 1 or begin[j] == begin[i]):
                shared = j if shared < 0 or first_ns[j] > first_ns[shared] else shared
        out[i] = best if best >= 0 else shared
    return out


@jit
def _again(begin: Codes, size: Codes, of_class: Codes, first_ns: Codes) -> NDArray[np.bool_]:
    # Of which ranges a later one has some bytes.
    out = np.zeros(len(begin), np.bool_)
    for i in range(len(begin)):
        for j in range(i - 1, max(i - 1 - LOOK_BACK, -1), -1):
            if of_class[j] != of_class[i]:
                break
            out[i] |= begin[j] + size[j] > begin[i] and first_ns[j] > first_ns[i]
        for j in range(i + 1, min(i + 1 + LOOK_BACK, len(begin))):
            if of_class[j] != of_class[i] or begin[j] >= begin[i] + size[i]:
                break
            out[i] |= first_ns[j] > first_ns[i]
    return out
