"""TCP super-packets and their segments on the wire (GSO, GRO): one journey, 1 → n and n → 1."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.jit import inner, jit
from tracer.core.protocols import TCP
from tracer.correlate.hashing import Codes, filled, grouped
from tracer.correlate.joining.assembly import Assembly

LOOK_BACK = 64


def merge_segments(
    packets: Any, stream: Codes, flow_class: Codes, found: Assembly, time: Codes, gap_ns: int
) -> None:
    """Give segments the journey of the super-packet whose bytes they are, in place.

    A journey of fewer bytes joins one whose sequence range holds its own, of the same class,
    acknowledgement and time stamp, near in time, and seen at none of the same links: what was
    seen there as well was sent again.
    """
    rows, starts = grouped(found.journey, found.journeys)
    firsts = rows[starts[:-1]]
    tcp = (packets["proto"][firsts] == TCP) & (packets["payload_len"][firsts] > 0)
    chosen = np.flatnonzero(tcp & (flow_class[firsts] >= 0))
    if len(chosen) < 2:
        return
    of_class = flow_class[firsts[chosen]]
    chosen = chosen[np.lexsort((time[firsts[chosen]], of_class))]
    heads = firsts[chosen]
    length = packets["payload_len"][heads].astype(np.int64)
    if length.max() <= length.min():
        return
    begin = _unwrapped(packets["tcp_seq"][heads], flow_class[heads])
    by_range = np.lexsort((-length, begin, flow_class[heads]))
    owner = _owners(
        packets, chosen[by_range], heads[by_range], begin[by_range], length[by_range],
        flow_class, stream, time, (rows, starts), gap_ns,
    )  # fmt: skip
    _relabel(found, chosen[by_range], owner)


def _unwrapped(seq: Codes, of_class: Codes) -> Codes:
    # Numbers count on past 2**32: in time order each is within 2**31 of the one before.
    step = np.diff(seq, prepend=seq[:1])
    step = (step + (1 << 31)) % (1 << 32) - (1 << 31)
    begins = np.flatnonzero(np.diff(of_class, prepend=-1))
    step[begins] = seq[begins]
    total = np.cumsum(step)
    sizes = np.diff(np.append(begins, len(seq)))
    return total - np.repeat(total[begins] - seq[begins], sizes)


@jit
def _owners(
    p: Any, chosen: Codes, heads: Codes, begin: Codes, length: Codes, flow_class: Codes,
    stream: Codes, time: Codes, layout: Any, gap_ns: int,
) -> Codes:  # fmt: skip
    # By class, range start and falling length: an owner comes before what it holds.
    owner = filled(len(chosen), -1)
    for i in range(len(chosen)):
        best, best_length, best_time = -1, length[i], np.int64(0)
        j = i - 1
        while j >= 0 and i - j <= LOOK_BACK and flow_class[heads[j]] == flow_class[heads[i]]:
            holds = begin[j] + length[j] >= begin[i] + length[i] and length[j] > length[i]
            apart = abs(time[heads[j]] - time[heads[i]])
            better = length[j] > best_length or (length[j] == best_length and apart < best_time)
            if not (holds and better and apart <= gap_ns and _are_one(p, heads[i], heads[j])):
                j -= 1
                continue
            if not _share_link(p, chosen[i], chosen[j], stream, layout):
                best, best_length, best_time = j, length[j], apart
            j -= 1
        owner[i] = best
    return owner


@inner
def _are_one(p: Any, a: int, b: int) -> bool:
    x, y = p[a], p[b]
    return bool(x.tcp_ack == y.tcp_ack and x.tcp_tsval == y.tcp_tsval)


@inner
def _share_link(p: Any, first: int, second: int, stream: Codes, layout: Any) -> bool:
    rows, starts = layout
    for i in range(starts[first], starts[first + 1]):
        for j in range(starts[second], starts[second + 1]):
            a, b = rows[i], rows[j]
            if stream[a] == stream[b] and p[a].ttl == p[b].ttl:
                return True
    return False


def _relabel(found: Assembly, chosen: Codes, owner: Codes) -> None:
    of = np.arange(found.journeys)
    has = np.flatnonzero(owner >= 0)
    if not len(has):
        return
    # Owners precede what they hold, so one pass in order finds the outermost.
    for i in has:
        of[chosen[i]] = of[chosen[owner[i]]]
    kept: NDArray[np.bool_] = of == np.arange(found.journeys)
    number = np.cumsum(kept) - 1
    used = found.journey >= 0
    found.journey[used] = number[of[found.journey[used]]]
    found.journeys = int(kept.sum())
