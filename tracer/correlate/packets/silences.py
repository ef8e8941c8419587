"""Packets that waited long, in a queue or on a long way, and that nothing else can be."""

from typing import Any

import numpy as np

from tracer.core.jit import inner_plain, jit
from tracer.correlate.hashing import Codes, Keys
from tracer.correlate.packets.identity import Identity

#: What waits longer is given up, as windows give it up (nanoseconds).
LONGEST_NS = 3_000_000_000
_MOST_ROWS = 64


def watched_until(identity: Identity, time: Codes) -> Codes:
    """Return when each capture showed its last packet, shape (captures + 1,): the last is -1."""
    last_ns = np.full(int(identity.capture.max(initial=-1)) + 2, np.iinfo(np.int64).min)
    np.maximum.at(last_ns, identity.capture, time)
    return last_ns


@inner_plain
def has_waited(p: Any, a: int, b: int, until_ns: Codes, time: Codes) -> bool:
    """Return whether two rows of equal fingerprint, one after the other, are surely one packet.

    What is sent again has another IP id, or a later TCP time stamp (RFC 7323, 3.2). If it has
    neither, the capture that showed it once would have shown it again: if it still ran.
    """
    x, y = p[a], p[b]
    if x.tcp_seq >= 0 and x.payload_len > 0 and until_ns[x.capture] >= time[b]:
        return True
    if x.tcp_seq >= 0 and x.tcp_tsval > 0 and x.tcp_tsval == y.tcp_tsval:
        return True
    has_own = x.tcp_seq >= 0 or (x.payload_digest != 0 and x.payload_len >= 8)
    return bool(has_own and x.ip_id > 0 and x.ip_id == y.ip_id)


@inner_plain
def _is_one(
    p: Any, order: Codes, ends: Any, until_ns: Codes, time: Codes, link: Keys, ttl: Codes
) -> bool:
    # Whether rows are one packet that was silent before the one at `cut`: each link shows it once.
    start, cut, stop = ends
    if stop - start > _MOST_ROWS:
        return False
    for i in range(start, stop):
        for j in range(start, i):
            a, b = order[j], order[i]
            if link[a] == link[b]:
                return False
            if j < cut <= i and (
                ttl[a] < ttl[b] or not has_waited(p, a, order[cut], until_ns, time)
            ):
                return False
    return True


@jit
def _bridged(
    p: Any, order: Codes, whole: Codes, starts: Codes, until_ns: Codes, time: Codes, link: Keys,
    ttl: Codes,
) -> Codes:  # fmt: skip
    out = np.empty(len(starts), np.int64)
    count = at = 0
    for group in range(len(whole) - 1):
        begin = at
        while at < len(starts) - 1 and starts[at] < whole[group + 1]:
            cut = starts[at]
            if (
                at == begin
                or time[order[cut]] - time[order[cut - 1]] > LONGEST_NS
                or not _is_one(
                    p, order, (out[count - 1], cut, starts[at + 1]), until_ns, time, link, ttl
                )
            ):
                out[count] = cut
                count += 1
            at += 1
    out[count] = starts[-1]
    return out[: count + 1].copy()


def bridged(
    packets: Any, identity: Identity, whole: Codes, groups: tuple[Codes, Codes], time: Codes
) -> tuple[Codes, Codes]:
    """Return groups (order, starts) that were split where they are silent, without the splits in
    the middle of a packet that only waited. `whole`: where groups began before they were split.
    """
    order, starts = groups
    if len(starts) == len(whole):
        return groups
    until_ns = watched_until(identity, time)
    found = _bridged(packets, order, whole, starts, until_ns, time, identity.link, identity.ttl)
    return order, found
