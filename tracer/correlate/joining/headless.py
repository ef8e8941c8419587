"""UDP super-packets whose first datagram was lost: the others, by IP id or turn, and by size.

No bytes are left that both show, since a digest is of the first ones. A packet that is longer than
all that its flow shows further on did not pass in one piece; datagrams that begin there are of it
if they, and as many as were lost, have exactly its bytes.
"""

from typing import Any

from tracer.core.jit import inner_plain, jit
from tracer.correlate.hashing import Codes, filled

ETHERNET_BYTES = 1472  # of UDP in a packet of 1500 bytes: what is longer may be a super-packet
_MOST = 64  # datagrams of a super-packet (Linux: UDP_MAX_SEGMENTS)
_LOOK = 128  # datagrams of a flow, by time, among which those of one super-packet are


@jit
def number_headless(
    of: Any, begin: Codes, number: int, stream: Codes, time: Codes, longest: Codes, gap_ns: int
) -> None:
    """Set `begin` of super-packets that have none, and of their datagrams, from `number` on.

    `of`: flow, digest, whether others have it in another length, length and IP id of each, sorted
    by flow and time; `longest`: payload that each stream shows, whatever row.
    """
    _, _, _, length, ids = of
    for whole in range(len(begin)):
        if begin[whole] >= 0 or length[whole] <= ETHERNET_BYTES:
            continue
        parts = filled(_MOST, -1)
        if ids[whole] > 0:
            found = _by_id(of, begin, whole, stream, time, longest, gap_ns, parts)
        else:
            found = _by_turn(of, begin, whole, stream, time, longest, gap_ns, parts)
        size = _size(of, whole, parts, stream) if found else 0
        if size <= 0:
            continue
        begin[whole] = number
        for k in range(1, _MOST):
            if parts[k] >= 0 and k * size < length[whole]:
                begin[parts[k]] = number + k * size
        number += length[whole] + 1


@inner_plain
def _may_be_part(
    of: Any, begin: Codes, whole: int, j: int, stream: Codes, time: Codes, longest: Codes,
    gap_ns: int,
) -> bool:  # fmt: skip
    of_class, _, alike, length, _ = of
    return bool(
        of_class[j] == of_class[whole]
        and begin[j] < 0
        and not alike[j]
        and stream[j] >= 0
        and stream[j] != stream[whole]
        and longest[stream[j]] < length[whole]
        and abs(time[j] - time[whole]) <= gap_ns
    )


@inner_plain
def _by_id(
    of: Any, begin: Codes, whole: int, stream: Codes, time: Codes, longest: Codes, gap_ns: int,
    parts: Codes,
) -> bool:  # fmt: skip
    # Finds the datagrams of the first stream that has some, each by how far its id counts on.
    _, _, _, _, ids = of
    at = -1
    for j in range(max(0, whole - _LOOK), min(len(begin), whole + _LOOK)):
        k = (ids[j] - ids[whole]) & 0xFFFF
        if ids[j] < 0 or not 0 < k < _MOST:
            continue
        if not _may_be_part(of, begin, whole, j, stream, time, longest, gap_ns):
            continue
        if at >= 0 and stream[j] != at:
            continue
        if parts[k] >= 0:
            return False  # two may be the one
        at, parts[k] = stream[j], j
    return at >= 0


@inner_plain
def _by_turn(
    of: Any, begin: Codes, whole: int, stream: Codes, time: Codes, longest: Codes, gap_ns: int,
    parts: Codes,
) -> bool:  # fmt: skip
    # Finds the datagrams that are left over, if no other packet is that may be theirs.
    of_class, _, _, length, ids = of
    at, count = -1, 0
    for j in range(max(0, whole - 2 * _LOOK), min(len(begin), whole + 2 * _LOOK)):
        if j == whole or of_class[j] != of_class[whole]:
            continue
        if begin[j] < 0 and length[j] > ETHERNET_BYTES and abs(time[j] - time[whole]) <= gap_ns:
            return False
        if not _may_be_part(of, begin, whole, j, stream, time, longest, gap_ns):
            continue
        if (at >= 0 and stream[j] != at) or count == _MOST - 1 or ids[j] != ids[whole]:
            return False
        count += 1
        at, parts[count] = stream[j], j
    if count == 0:
        return False
    total = length[parts[1]]  # with the one that was lost, which is as long as all but the last
    for k in range(1, count + 1):
        total += length[parts[k]]
    if count == 1:
        return bool(total <= length[whole])
    return bool(total == length[whole])


@inner_plain
def _size(of: Any, whole: int, parts: Codes, stream: Codes) -> int:
    # What all datagrams but the last have, 0 where those that were found do not make the packet.
    _, _, _, length, _ = of
    first = 1
    while parts[first] < 0:
        first += 1
    size = length[parts[first]]
    count = -(-length[whole] // size)
    matched, fits = 0, count <= _MOST
    for k in range(first, min(count, _MOST)):
        if parts[k] >= 0:
            rest = length[whole] - k * size
            fits = fits and length[parts[k]] == min(size, rest)
            matched += 1
    if fits and matched > 1:
        return int(size)
    rest = size  # if it is the last, alone
    size = (length[whole] - rest) // first
    alone = size * first + rest == length[whole] and size >= rest
    return int(size) if alone and _shows(of, whole, stream, stream[parts[first]], size) else 0


@inner_plain
def _shows(of: Any, whole: int, stream: Codes, at: int, size: int) -> bool:
    of_class, _, _, length, _ = of
    for j in range(max(0, whole - _LOOK), min(len(stream), whole + _LOOK)):
        if of_class[j] == of_class[whole] and stream[j] == at and length[j] == size:
            return True
    return False
