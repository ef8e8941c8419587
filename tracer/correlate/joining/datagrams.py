"""UDP super-packets (GSO, GRO), as QUIC servers send them: where in them their datagrams begin.

UDP has no sequence numbers. What tells is that the first datagram begins with the same bytes, that
the others follow it with one size, the last with the rest, and that the kernel counts IP ids on.
Where the first one was lost, the others tell by their sizes: they and the lost one make the whole.
"""

from typing import Any

import numpy as np

from tracer.core.jit import inner_plain, jit
from tracer.core.mixing import mixed
from tracer.correlate.hashing import Codes, factorise, filled
from tracer.correlate.joining.headless import ETHERNET_BYTES, number_headless

LEAST_BYTES = 128  # that a digest is of: it is equal for longer payloads that begin alike
_LOOK = 128  # datagrams of a flow, by time, among which those of one super-packet are


def datagram_numbers(
    packets: Any, heads: Codes, of_class: Codes, stream: Codes, time: Codes, gap_ns: int
) -> Codes:
    """Return for each datagram the number of its first byte in its flow, (n,), -1 where it is
    neither a super-packet nor a part of one.

    `heads`: a row of each; `of_class`: its flow; `stream` and `time` by row. Numbers of different
    super-packets do not overlap.
    """
    length = packets["payload_len"][heads].astype(np.int64)
    code, where = factorise(mixed(of_class.astype(np.uint64), packets["payload_digest"][heads]))
    shortest, longest = np.full(len(where), np.iinfo(np.int64).max), np.zeros(len(where), np.int64)
    np.minimum.at(shortest, code, length)
    np.maximum.at(longest, code, length)
    alike = (shortest < longest)[code]
    if not alike.any() and not (length > ETHERNET_BYTES).any():
        return np.full(len(heads), -1)
    order = np.lexsort((time[heads], of_class))
    found = np.empty(len(heads), np.int64)
    ids = packets["ip_id"][heads]
    of = (of_class[order], code[order], alike[order], length[order], ids[order])
    begin, number = _numbered(of, stream[heads[order]], time[heads[order]], gap_ns)
    if ((begin < 0) & (of[3] > ETHERNET_BYTES)).any():
        longest = np.zeros(int(stream.max()) + 1, np.int64)
        np.maximum.at(longest, stream[stream >= 0], packets["payload_len"][stream >= 0])
        number_headless(
            of, begin, number, stream[heads[order]], time[heads[order]], longest, gap_ns
        )
    found[order] = begin
    return found


@jit
def _numbered(of: Any, stream: Codes, time: Codes, gap_ns: int) -> tuple[Codes, int]:
    _, code, alike, length, ids = of
    begin = filled(len(code), -1)
    number = np.int64(0)
    for first in range(len(code)):
        if not alike[first] or begin[first] >= 0:
            continue
        whole = _whole(of, begin, first, time, gap_ns)
        if whole < 0:
            continue
        begin[whole] = begin[first] = number
        counted = ids[first] >= 0 and ids[first] == ids[whole] and length[whole] > length[first]
        at, k, last = length[first], 1, first
        while at < length[whole]:
            size = min(length[first], length[whole] - at)
            j = _following(of, begin, (first, last), (size, k, counted), stream, time, gap_ns)
            if j < 0 and k == 1 and counted and ids[first] == 0:  # some cards leave all at 0
                counted = False
                j = _following(of, begin, (first, last), (size, k, counted), stream, time, gap_ns)
            if j >= 0:
                begin[j] = number + at
                last = first if counted else j
            elif not counted:
                break
            at += size
            k += 1
        number += length[whole] + 1
    return begin, int(number)


@inner_plain
def _whole(of: Any, begin: Codes, first: int, time: Codes, gap_ns: int) -> int:
    # The nearest longer packet that begins with the bytes of the one that may be its first part.
    of_class, code, _, length, _ = of
    best = -1
    for j in range(max(0, first - _LOOK), min(len(code), first + _LOOK)):
        if of_class[j] != of_class[first] or code[j] != code[first] or begin[j] >= 0:
            continue
        apart = abs(time[j] - time[first])
        if length[j] <= length[first] or apart > gap_ns:
            continue
        if best < 0 or apart < abs(time[best] - time[first]):
            best = j
    return best


@inner_plain
def _following(
    of: Any, begin: Codes, after: Any, wanted: Any, stream: Codes, time: Codes, gap_ns: int
) -> int:
    # The next part, where the first one was seen: by its IP id, or where ids do not count by turn.
    of_class, _, alike, length, ids = of
    first, last = after
    size, k, counted = wanted
    for j in range(last + 1, min(len(begin), last + _LOOK)):
        if of_class[j] != of_class[first] or time[j] - time[first] > gap_ns:
            return -1
        if stream[j] != stream[first]:
            continue
        if alike[j] and not counted:
            return -1  # the first part of the next one: where one before was lost is not known
        if begin[j] >= 0 or alike[j] or length[j] != size:
            continue
        if not counted or ids[j] == (ids[first] + k) & 0xFFFF:
            return j
    return -1
