"""Copies: the same packet shown twice at one point by a SPAN port, `any`, or a second tcpdump."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.jit import inner, jit
from tracer.correlate.hashing import Codes, filled

MOST_ROWS = 64
COPY_NS = 1_000_000  # nobody sends two packets with one IP id this close: a second one is a copy


@inner
def _is_numbered(p: Any, row: int) -> bool:
    # With an IP id, an echo's number, or TCP bytes with a number, equal means one packet.
    numbered = p[row].ip_id > 0 or p[row].icmp_seq >= 0
    return bool(numbered or (p[row].tcp_seq >= 0 and p[row].payload_len > 0))


@inner
def _is_partly_doubled(p: Any, order: Codes, start: int, stop: int, stream: Codes) -> bool:
    # Shown once on some links and twice on others: one packet that some captures doubled. Several
    # equal packets would mostly be several everywhere.
    if stop - start > MOST_ROWS:
        return False
    least, most = stop - start, 0
    for i in range(start, stop):
        same = 0
        for j in range(start, stop):
            a, b = order[i], order[j]
            same += stream[a] == stream[b] and p[a].ttl == p[b].ttl
        least, most = min(least, same), max(most, same)
    return least == 1 and most == 2


@jit
def copies(p: Any, order: Codes, starts: Codes, stream: Codes, time: Codes) -> Codes:
    """Return for each row the earlier row it is a copy of, -1 for none, shape (rows,).

    Groups are rows of equal fingerprint in time order; a copy is on the same link at the same TTL.
    """
    copy_of = filled(len(p), -1)
    for group in range(len(starts) - 1):
        asked, doubled = False, False
        for i in range(starts[group] + 1, starts[group + 1]):
            row = order[i]
            j = i - 1
            while j >= starts[group] and time[row] - time[order[j]] <= COPY_NS:
                other = order[j]
                if stream[other] == stream[row] and p[other].ttl == p[row].ttl:
                    numbered = _is_numbered(p, row)
                    if not numbered and not asked:
                        asked = True
                        doubled = _is_partly_doubled(
                            p, order, starts[group], starts[group + 1], stream
                        )
                    if numbered or doubled:
                        copy_of[row] = other if copy_of[other] < 0 else copy_of[other]
                    break
                j -= 1
    return copy_of


@jit
def without(order: Codes, starts: Codes, left_out: NDArray[np.bool_]) -> tuple[Codes, Codes]:
    """Return (order, starts) of the same groups without some rows."""
    kept = np.empty(len(order), np.int64)
    begins = np.zeros(len(starts), np.int64)
    count = 0
    for group in range(len(starts) - 1):
        for i in range(starts[group], starts[group + 1]):
            if not left_out[order[i]]:
                kept[count] = order[i]
                count += 1
        begins[group + 1] = count
    return kept[:count].copy(), begins
