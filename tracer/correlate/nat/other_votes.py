"""Packets that vote although their fingerprints differ: cut by a capture, or taken apart by GSO."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.jit import jit, jit_plain
from tracer.core.mixing import mixed
from tracer.core.protocols import TCP
from tracer.correlate.hashing import Codes
from tracer.correlate.nat.doubt import doubts
from tracer.correlate.nat.streams import Groups
from tracer.correlate.nat.tuples import related_parts
from tracer.correlate.nat.votes import Voting
from tracer.correlate.packets import groups
from tracer.correlate.packets.echoed import each_way
from tracer.correlate.packets.identity import Identity

_NUMBERS = ("tcp_seq", "tcp_ack", "tcp_tsval", "tcp_tsecr")


def by_bytes(
    packets: Any, identity: Identity, copy_of: Codes, time: Codes, slack_ns: int, gap_ns: int
) -> tuple[Voting, ...]:
    """Return the groups of equal bytes where a capture cut payloads, else none.

    Those bytes are left out of the fingerprint; they still say which streams of other captures are
    one flow.
    """
    if not len(identity.body):
        return ()
    known = identity.usable & (identity.body != 0) & (copy_of < 0)
    rows = groups.packet_groups(mixed(identity.packet, identity.body), known)
    rows = each_way(packets, identity.flow, *rows)
    rows = _in_order(rows, identity, time, gap_ns)
    rows = related_parts(packets, identity.flow, *rows, False)
    return ((rows, doubts(identity, rows, time, slack_ns)),)


def by_first_bytes(
    packets: Any, identity: Identity, copy_of: Codes, time: Codes, slack_ns: int, gap_ns: int
) -> tuple[Voting, ...]:
    """Return the groups of TCP data that begins with one byte and is of several lengths.

    A super-packet and the first of its segments (GSO, GRO) are one packet. Where no other packet
    has one size on both sides of a translation, nothing else tells that the streams are one flow.
    """
    if not _lengths_differ(identity):
        return ()
    chosen = identity.usable & (identity.length > 0) & (copy_of < 0)
    if len(identity.mirrored):
        chosen &= ~identity.mirrored
    at = np.flatnonzero(chosen)
    chosen[at] = (packets["proto"][at] == TCP) & (packets["tcp_seq"][at] >= 0)
    at = np.flatnonzero(chosen)
    key = np.zeros(len(chosen), np.uint64)
    for name in _NUMBERS:
        key[at] = mixed(key[at], packets[name][at])
    rows = groups.packet_groups(key, chosen)
    rows = groups.chosen(*rows, _are_several(*rows, identity.length))
    if not len(rows[0]):
        return ()
    rows = _in_order(rows, identity, time, gap_ns)
    unread = replace(identity, body=identity.body[:0])  # what else they carry differs
    return ((rows, doubts(unread, rows, time, slack_ns)),)


def _in_order(rows: Groups, identity: Identity, time: Codes, gap_ns: int) -> Groups:
    rows = groups.bursts(*rows, time, identity.point, gap_ns)
    groups.sort_groups(*rows, 256 - identity.ttl, time, identity.point)
    return rows


def _lengths_differ(identity: Identity) -> bool:
    # Whether the longest packets of the points differ, as where one shows super-packets.
    longest = np.zeros(int(identity.point.max(initial=-1)) + 2, np.int64)  # the last: unknown
    _find_longest(identity.point, identity.length, longest)
    longest = longest[longest > 0]
    return bool(len(longest) and longest.max() > longest.min())


@jit_plain
def _find_longest(point: Codes, length: Any, longest: Codes) -> None:
    for i in range(len(point)):
        longest[point[i]] = max(longest[point[i]], length[i])


@jit
def _are_several(order: Codes, starts: Codes, length: Any) -> NDArray[np.bool_]:
    # Which groups have packets of several lengths.
    out = np.zeros(len(starts) - 1, np.bool_)
    for group in range(len(out)):
        for i in range(starts[group] + 1, starts[group + 1]):
            if length[order[i]] != length[order[i - 1]]:
                out[group] = True
    return out
