"""Where equal packets are seen, as small numbers, and in which order they pass there."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.jit import inner
from tracer.correlate.hashing import Codes
from tracer.correlate.order.links import is_before, votes_of

MOST_SLOTS = 512
MOST_ORDERED = 64  # slots; of more, only steps that were seen tell the order


@inner
def slots_of(p: Any, rows: Codes, stream: Codes, links: Any) -> tuple[Codes, int, Any]:
    """Return the slot of each row, how many there are, and which are passed before which.

    A slot is a stream at one TTL, in order of appearance. The last is bool (slots, slots), for
    slots of one TTL: the first of two is passed before the second. No element: not known.
    """
    slots = np.empty(len(rows), np.int64)
    streams = np.empty(MOST_SLOTS, np.int64)
    ttls = np.empty(MOST_SLOTS, np.int64)
    firsts = np.empty(MOST_SLOTS, np.int64)
    count = 0
    for i in range(len(rows)):
        row = rows[i]
        slot = 0
        while slot < count and (streams[slot] != stream[row] or ttls[slot] != p[row].ttl):
            slot += 1
        if slot == count and count < MOST_SLOTS:
            streams[slot], ttls[slot], firsts[slot] = stream[row], p[row].ttl, row
            count += 1
        slots[i] = min(slot, MOST_SLOTS - 1)
    return slots, count, _passed(firsts, ttls, count if count <= MOST_ORDERED else 0, links)


@inner
def _passed(firsts: Codes, ttls: Codes, count: int, links: Any) -> NDArray[np.bool_]:
    # A packet that skips a device was seldom seen before: that it goes from a to b is then known
    # from those that go from a to a third, and from there to b.
    link, keys, votes, _ = links
    passed = np.zeros((count, count), np.bool_)
    for a in range(count):
        for b in range(count):
            if a != b and ttls[a] == ttls[b]:
                passed[a, b] = is_before(keys, votes, link[firsts[a]], link[firsts[b]])
    far = passed.copy()
    for over in range(count):
        for a in range(count):
            if far[a, over]:
                for b in range(count):
                    far[a, b] = far[a, b] or far[over, b]
    for a in range(count):
        for b in range(count):
            if far[a, b] and not far[b, a] and not passed[a, b]:
                passed[a, b] = votes_of(keys, votes, link[firsts[b]], link[firsts[a]]) == 0
    return passed
