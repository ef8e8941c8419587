"""Kernel buffers: rows that are one packet because they are one sk_buff within one lifetime.

The strongest evidence there is, and it crosses NAT. The address alone is none: the kernel uses it
again within microseconds, so a lifetime also wants the same packet by what nothing on the way
rewrites, and no silence.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.batch import ObservationBatch
from tracer.correlate.hashing import Codes

#: One packet does not stay in one host longer between two hops (a queue's worst, nanoseconds).
SILENCE_NS = 200_000_000
# IP id (IPv4), sequence numbers and lengths survive forwarding and NAT; GSO keeps the buffer.
_KEPT = ("ip_version", "proto", "ip_id", "tcp_seq", "icmp_type", "icmp_seq", "ethertype")


def lifetimes(batch: ObservationBatch) -> Codes:
    """Return the buffer lifetime each row belongs to, counted from 0, -1 without a buffer."""
    kernel = batch.sections["kernel"]
    kernel = kernel[kernel["skb"] != 0]
    found = np.full(len(batch), -1, np.int64)
    if not len(kernel):
        return found
    packets = batch.packets[kernel["row"]]
    host = _hosts(batch, packets["point"])
    order = np.lexsort((packets["time_ns"], kernel["skb"], host))
    host = host[order]
    packets, rows, skb = packets[order], kernel["row"][order], kernel["skb"][order]
    starts = np.ones(len(rows), bool)
    starts[1:] = (skb[1:] != skb[:-1]) | (host[1:] != host[:-1])
    starts[1:] |= np.diff(packets["time_ns"]) > SILENCE_NS
    for name in _KEPT:
        starts[1:] |= packets[name][1:] != packets[name][:-1]
    found[rows] = np.cumsum(starts) - 1
    return found


def united(journey: Codes, lifetime: Codes) -> tuple[Codes, int]:
    """Return the journey of each row after joining those that share a lifetime, and how many.

    Journeys are counted from 0, -1 is none.
    """
    used = np.flatnonzero((lifetime >= 0) & (journey >= 0))
    count = int(journey.max(initial=-1)) + 1
    if not len(used):
        return journey, count
    label = np.arange(count)
    of_row, of_life = journey[used], lifetime[used]
    while True:  # labels fall until all rows of a lifetime, and of a journey, have the same
        least = np.full(int(of_life.max()) + 1, count)
        np.minimum.at(least, of_life, label[of_row])
        lowered = label.copy()
        np.minimum.at(lowered, of_row, least[of_life])
        lowered = lowered[lowered]
        if np.array_equal(lowered, label):
            break
        label = lowered
    kept, number = np.unique(label, return_inverse=True)
    return np.where(journey >= 0, number[journey], journey), len(kept)


def _hosts(batch: ObservationBatch, point: NDArray[Any]) -> Codes:
    names: dict[str | None, int] = {}
    codes = [names.setdefault(p.host, len(names)) for p in batch.points]
    hosts: Codes = np.array([*codes, -1], np.int64)[point]
    return hosts
