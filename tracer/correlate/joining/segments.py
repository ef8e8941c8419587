"""Super-packets and their segments on the wire (GSO, GRO): one journey, 1 → n and n → 1."""

from typing import Any

import numpy as np

from tracer.core.jit import inner_plain, jit
from tracer.core.protocols import TCP, UDP
from tracer.correlate.hashing import Codes, Keys, filled, grouped, unite
from tracer.correlate.joining.datagrams import LEAST_BYTES, datagram_numbers
from tracer.correlate.joining.journeys import Assembly
from tracer.correlate.nat.streams import Streams

MOST_OPEN = 64  # ranges that overlap at one byte; the oldest gives way
LEAST_SIZE = 48  # bytes in a segment (Linux: tcp_min_snd_mss)
COUNTED, POSSIBLE, UNKNOWN, OTHERS = 3, 2, 1, 0  # what IP ids say of a part and its super-packet


def merge_segments(
    packets: Any, streams: Streams, found: Assembly, time: Codes, gap_ns: int
) -> None:
    """Give segments the journey of the super-packet whose bytes they are, in place.

    A journey of fewer bytes joins one whose sequence range holds its own, of the same class or
    tuple, acknowledgement and time stamp, near in time, and seen at none of the same links: what
    was seen there as well was sent again. Their classes are one then: where no packet has the same
    size at two points nothing else tells. Of several, the one from whose IP id its own counts on,
    as the kernel's GSO counts, else the nearest in time. GRO also puts segments of several
    super-packets together: that is part of the one which has its first byte. Datagrams of UDP are
    numbered for that (`datagrams`).
    """
    found.numbers = packets["tcp_seq"].copy()
    flow_class = streams.flow_class
    rows, starts = grouped(found.journey, found.journeys)
    firsts = rows[starts[:-1]]
    proto, size = packets["proto"][firsts], packets["payload_len"][firsts]
    long_ = (proto == UDP) & (size > LEAST_BYTES) & (packets["payload_digest"][firsts] != 0)
    long_ &= (packets["frag_offset"][firsts] <= 0) & (packets["more_fragments"][firsts] != 1)
    chosen = np.flatnonzero((((proto == TCP) & (size > 0)) | long_) & (flow_class[firsts] >= 0))
    if len(chosen) < 2:
        return
    length = packets["payload_len"][firsts[chosen]]
    if length.max() <= length.min():
        return
    of_class = _of_tuple(streams.named[firsts[chosen]], flow_class[firsts[chosen]])
    chosen, of_class = _with_numbers(
        packets, streams.stream, found, firsts, (chosen, of_class), time, gap_ns
    )
    order = np.lexsort((time[firsts[chosen]], of_class))
    chosen, of_class = chosen[order], of_class[order]
    heads = firsts[chosen]
    length = packets["payload_len"][heads].astype(np.int64)
    begin = _unwrapped(found.numbers[heads], of_class)
    by_range = np.lexsort((-length, begin, of_class))
    chosen, heads = chosen[by_range], heads[by_range]
    seen = (
        np.minimum.reduceat(time[rows], starts[:-1])[chosen],
        np.maximum.reduceat(packets["ttl"][rows], starts[:-1])[chosen],
    )
    owner, carrier = _owners(
        packets, chosen, heads, (begin[by_range], length[by_range]), seen, of_class[by_range],
        streams.stream, (rows, starts), gap_ns,
    )  # fmt: skip
    has = owner >= 0
    unite(flow_class, flow_class[heads[has]], flow_class[heads[owner[has]]])
    _note_carriers(found, chosen, heads, carrier)
    _relabel(found, chosen, owner)


def _with_numbers(
    packets: Any, stream: Codes, found: Assembly, firsts: Codes, chosen: tuple[Codes, Codes],
    time: Codes, gap_ns: int,
) -> tuple[Codes, Codes]:  # fmt: skip
    # Numbers the bytes of datagrams, in place; those that have none are not chosen any more.
    which, of_class = chosen
    udp = packets["proto"][firsts[which]] == UDP
    if not udp.any():
        return chosen
    journeys = which[udp]
    begin = datagram_numbers(packets, firsts[journeys], of_class[udp], stream, time, gap_ns)
    of_journey = np.full(found.journeys, -1)
    of_journey[journeys] = begin
    rows = np.flatnonzero(found.journey >= 0)
    rows = rows[of_journey[found.journey[rows]] >= 0]
    found.numbers[rows] = of_journey[found.journey[rows]]
    kept = ~udp
    kept[udp] = begin >= 0
    return which[kept], of_class[kept]


def _of_tuple(tuples: Keys, of_class: Codes) -> Codes:
    # The classes, those of one tuple made one.
    found = of_class.copy()
    order = np.argsort(tuples, kind="stable")
    same = tuples[order[1:]] == tuples[order[:-1]]
    unite(found, of_class[order[1:][same]], of_class[order[:-1][same]])
    return found


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
    p: Any, chosen: Codes, heads: Codes, ranges: Any, seen: Any, of_class: Codes, stream: Codes,
    layout: Any, gap_ns: int,
) -> tuple[Codes, Codes]:  # fmt: skip
    # By class, range start and falling length: an owner comes before what it holds. Also for each
    # the one that took its first bytes along with those of others, which it is no part of.
    begin, length = ranges
    first_ns, _ = seen
    owner, carrier = filled(len(chosen), -1), filled(len(chosen), -1)
    across = np.zeros(len(chosen), np.bool_)  # of packets that have bytes of several
    counts = np.zeros(len(chosen), np.bool_)  # of owners: whether IP ids count on from theirs
    open_ = np.empty(MOST_OPEN, np.int64)
    size = 0
    for i in range(len(chosen)):
        size = _still_open(open_, size, ranges, of_class, i)
        best, best_id, best_ns = -1, 0, np.int64(0)
        for k in range(size):
            j = open_[k]
            apart = abs(first_ns[j] - first_ns[i])
            holds = begin[j] + length[j] >= begin[i] + length[i]
            same = begin[j] == begin[i] and length[j] == length[i]
            if same or apart > gap_ns or not _are_one(p, heads[i], heads[j]):
                continue
            # What ends beyond another may have been made of it, and of what follows it.
            before = _is_before(seen, j, i)
            further = _is_before(seen, i, j) and _is_further(ranges, carrier[i], j)
            if further and not _share_link(p, chosen[i], chosen[j], stream, layout):
                carrier[i] = j
            if across[j]:
                continue
            said = _ids(p[heads[j]], p[heads[i]], begin[i] - begin[j])
            if not (holds or before) or (said == OTHERS and (counts[j] or not holds)):
                continue
            said = 2 * said + before
            if best >= 0 and (said < best_id or (said == best_id and apart >= best_ns)):
                continue
            if not _is_taken(p, chosen, ranges, owner, i, j, stream, layout):
                best, best_id, best_ns = j, said, apart
        owner[i] = best
        if best >= 0:
            across[i] = begin[best] + length[best] < begin[i] + length[i]
            counts[best] |= best_id >= 2 * COUNTED
        if size == MOST_OPEN:
            size -= 1
            for k in range(size):
                open_[k] = open_[k + 1]
        open_[size] = i
        size += 1
    return owner, carrier


@inner_plain
def _still_open(open_: Codes, size: int, ranges: Any, of_class: Codes, i: int) -> int:
    # Keeps those in whose range the next one begins; returns how many they are.
    begin, length = ranges
    kept = 0
    for k in range(size):
        j = open_[k]
        if of_class[j] == of_class[i] and begin[j] + length[j] > begin[i]:
            open_[kept] = j
            kept += 1
    return kept


@inner_plain
def _is_before(seen: Any, a: int, b: int) -> bool:
    # Whether one may be further up the way than another.
    first_ns, ttl = seen
    return bool(first_ns[a] <= first_ns[b] and ttl[a] >= ttl[b])


@inner_plain
def _is_further(ranges: Any, known: int, j: int) -> bool:
    # Whether one has more of the bytes that follow than the one that is known, if any.
    begin, length = ranges
    return bool(known < 0 or begin[j] + length[j] > begin[known] + length[known])


@inner_plain
def _ids(whole: Any, part: Any, ahead: int) -> int:
    # `ahead`: bytes from the start of the whole one to that of the part.
    if whole.ip_id < 0 or part.ip_id < 0 or (whole.ip_id == part.ip_id and ahead > 0):
        return UNKNOWN  # IPv6, or a sender that gives all the same
    count = (part.ip_id - whole.ip_id) & 0xFFFF
    if count * part.payload_len == ahead:
        return COUNTED
    return POSSIBLE if 0 < count <= ahead // LEAST_SIZE else OTHERS


@inner_plain
def _is_taken(
    p: Any, chosen: Codes, ranges: Any, owner: Codes, i: int, j: int, stream: Codes, layout: Any
) -> bool:
    # Whether it was seen where the owner was, or where the owner has the same bytes already: then
    # they were sent again.
    begin, length = ranges
    if _share_link(p, chosen[i], chosen[j], stream, layout):
        return True
    k = i - 1
    while k >= 0 and begin[k] == begin[i] and length[k] == length[i]:
        if owner[k] == j and _share_link(p, chosen[i], chosen[k], stream, layout):
            return True
        k -= 1
    return False


@inner_plain
def _are_one(p: Any, a: int, b: int) -> bool:
    x, y = p[a], p[b]
    return bool(x.tcp_ack == y.tcp_ack and x.tcp_tsval == y.tcp_tsval)


@inner_plain
def _share_link(p: Any, first: int, second: int, stream: Codes, layout: Any) -> bool:
    rows, starts = layout
    for i in range(starts[first], starts[first + 1]):
        for j in range(starts[second], starts[second + 1]):
            a, b = rows[i], rows[j]
            if stream[a] == stream[b] and p[a].ttl == p[b].ttl:
                return True
    return False


def _note_carriers(found: Assembly, chosen: Codes, heads: Codes, carrier: Codes) -> None:
    carried = np.flatnonzero(carrier >= 0)
    if len(carried):
        of_journey = np.full(found.journeys, -1)
        of_journey[chosen[carried]] = heads[carrier[carried]]
        found.carrier = np.where(found.journey >= 0, of_journey[found.journey], -1)


def _relabel(found: Assembly, chosen: Codes, owner: Codes) -> None:
    of = np.arange(found.journeys)
    has = np.flatnonzero(owner >= 0)
    if not len(has):
        return
    # Owners precede what they hold, so one pass in order finds the outermost.
    for i in has:
        of[chosen[i]] = of[chosen[owner[i]]]
    used = found.journey >= 0
    parted = np.zeros(found.journeys, np.bool_)
    parted[of[chosen[has]]] = True
    found.parted = np.zeros(len(found.journey), np.bool_)
    found.parted[used] = parted[of[found.journey[used]]]
    found.merge(of)
