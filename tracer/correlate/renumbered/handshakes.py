"""Handshakes that something on the way makes itself, as a SYN proxy does: two, not one.

It answers the SYN at once, and opens a connection to the server with a SYN of its own when the
client has answered. What carries and acknowledges no bytes is then of one side only.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.jit import jit
from tracer.correlate.hashing import Codes
from tracer.correlate.renumbered.segments import Shared
from tracer.correlate.renumbered.sides import ACK, SYN, Sides

_FIN, _RST = 0x01, 0x04
_MASK = 0xFFFFFFFF
_NEVER = np.iinfo(np.int64).max


@jit
def _openings(p: Any, row: Codes, half: Codes, time: Codes, halves: int) -> tuple[Codes, Codes]:
    # Of each way of each side the first SYN, or SYN-ACK, -1 for none; and the number that follows
    # it, else that of the first bytes.
    first, base = np.empty(halves, np.int64), np.empty(halves, np.int64)
    begun = np.empty(halves, np.int64)
    for i in range(halves):
        first[i], base[i], begun[i] = -1, -1, _NEVER
    for i in range(len(row)):
        r, h, now = p[row[i]], half[i], time[row[i]]
        if r.tcp_flags & SYN:
            if first[h] < 0 or now < time[first[h]]:
                first[h] = row[i]
                base[h] = (r.tcp_seq + 1) & _MASK
        elif r.payload_len > 0 and first[h] < 0 and now < begun[h]:
            begun[h], base[h] = now, r.tcp_seq
    return first, base


@jit
def _are_opening(p: Any, row: Codes, half: Codes, base: Codes) -> NDArray[np.bool_]:
    # Which rows carry and acknowledge no bytes. An acknowledgement with an IP id is one wherever it
    # has that.
    out = np.zeros(len(row), np.bool_)
    for i in range(len(row)):
        r = p[row[i]]
        if r.tcp_flags & SYN:
            out[i] = True
        elif r.ip_id > 0:
            continue
        elif r.payload_len == 0 and r.tcp_flags & (_FIN | _RST) == 0:
            out[i] = r.tcp_seq == base[half[i]] and r.tcp_ack == base[half[i] ^ 1]
    return out


class Handshakes:
    """Which rows of sides open a connection, and between which sides they pass."""

    def __init__(self, packets: Any, sides: Sides, time: Codes) -> None:
        """`time` of each row of the batch."""
        half = 2 * sides.side + sides.way
        self._packets, self._time = packets, time
        self._first, base = _openings(packets, sides.row, half, time, 2 * sides.count)
        #: Of each row of the sides whether it opens a connection, and no more.
        self.opening = _are_opening(packets, sides.row, half, base)

    def pass_between(self, a: Codes, b: Codes, turned: Codes, shared: Shared) -> NDArray[np.bool_]:
        """Return whether the handshake is one on each two sides; `shared`: their segments.

        Nothing passes that is not known to: an answer that left the server's side first, as bytes
        tell how the clocks differ, or else SYNs of one IP id.
        """
        p = self._packets
        ways = self._first[2 * a], self._first[2 * a + 1]
        far = self._first[2 * b + turned], self._first[2 * b + (1 - turned)]
        # Which way of `a` is the client's.
        kinds = [np.where(row >= 0, p["tcp_flags"][row] & (SYN | ACK), 0) for row in (*ways, *far)]
        back = (kinds[0] == SYN | ACK) | (kinds[1] == SYN)
        back |= (kinds[2] == SYN | ACK) | (kinds[3] == SYN)
        syn = np.where(back, ways[1], ways[0]), np.where(back, far[1], far[0])
        answer = np.where(back, ways[0], ways[1]), np.where(back, far[0], far[1])
        same_id = (syn[0] >= 0) & (syn[1] >= 0) & (p["ip_id"][syn[0]] == p["ip_id"][syn[1]])
        same_id &= p["ip_id"][syn[0]] > 0
        known, before = self._order_of(answer, _times(a, b, back, shared, self._time))
        unseen = np.logical_and.reduce([row < 0 for row in (*syn, *answer)])
        passes: NDArray[np.bool_] = np.where(known, before, same_id) | unseen
        return passes

    def _order_of(
        self, answer: tuple[Codes, Codes], times: list[Codes]
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        # Whether it is known which of two answers came first, and whether that is the one on the
        # server's side. Their clocks differ by what lies between the least that both ways take.
        least, most, least_back, most_back = times
        known = (answer[0] >= 0) & (answer[1] >= 0) & (least != _NEVER) & (least_back != _NEVER)
        onward, backward = least >= most_back, least_back >= most
        took = self._time[answer[1]] - self._time[answer[0]]
        before = np.where(
            onward, took <= least // 2 + most_back // 2, took >= least_back // 2 + most // 2
        )
        return known & (onward ^ backward), before


def _times(a: Codes, b: Codes, back: NDArray[np.bool_], shared: Shared, time: Codes) -> list[Codes]:
    # Of each two sides the least and the most that bytes took from `a` to `b`, the client's way,
    # and the same of the server's, which is negative where that goes the other way.
    took = time[shared.second] - time[shared.first]
    at = _edges(a, b, shared)
    found = []
    for way in (back.astype(np.int64), 1 - back):
        mine = np.flatnonzero(at >= 0)
        mine = mine[shared.way[mine] == way[at[mine]]]
        least, most = np.full(len(a), _NEVER), np.full(len(a), -_NEVER)
        np.minimum.at(least, at[mine], took[mine])
        np.maximum.at(most, at[mine], took[mine])
        found += [least, most]
    return found


def _edges(a: Codes, b: Codes, shared: Shared) -> Codes:
    # Of each record of what sides share which pair of (a, b) it is of, -1 for none.
    span = int(max(b.max(initial=0), shared.b.max(initial=0))) + 1
    wanted, mine = a * span + b, shared.a * span + shared.b
    order = np.argsort(wanted)
    at = np.minimum(np.searchsorted(wanted[order], mine), max(len(wanted) - 1, 0))
    return np.where(wanted[order][at] == mine, order[at], -1) if len(wanted) else at - 1
