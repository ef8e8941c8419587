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
    or lies inside it. A keep-alive (one byte or none before what was acknowledged) repeats none.
    """
    found = np.full(len(firsts), -1, np.int64)
    flags = packets["tcp_flags"][firsts].astype(np.int64)
    size = packets["payload_len"][firsts] + ((flags & SYN) > 0) + ((flags & FIN) > 0)
    chosen = np.flatnonzero((flags >= 0) & (size > 0) & (flags & RST == 0) & (of_class >= 0))
    if len(chosen) < 2:
        return found
    begin, size = packets["tcp_seq"][firsts[chosen]], size[chosen].astype(np.int64)
    order = np.lexsort((first_ns[chosen], -size, begin, of_class[chosen]))
    opens = (flags[chosen] & (SYN | FIN)) > 0
    earlier = _earlier(
        begin[order], size[order], of_class[chosen][order], first_ns[chosen][order], opens[order]
    )
    has = np.flatnonzero(earlier >= 0)
    found[chosen[order[has]]] = chosen[order[earlier[has]]]
    return found


@jit
def _earlier(
    begin: Codes, size: Codes, of_class: Codes, first_ns: Codes, opens: NDArray[np.bool_]
) -> Codes:
    # By class, range start, falling size, time: what holds a range comes before it, or is equal.
    out = filled(len(begin), -1)
    for i in range(len(begin)):
        best = -1
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
        out[i] = best
    return out
