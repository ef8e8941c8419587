"""Addresses of buffers that the kernel uses again: what tells one use from the next.

The kernel frees an sk_buff and has the next packet in it within microseconds. Where packets are
equal, as ARP requests are, nothing but the event of its being freed shows that it is another one.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.jit import jit_plain
from tracer.sources.live.address_slots import slot_of
from tracer.sources.live.event_layout import Hook

_KFREE, _CONSUME = int(Hook.KFREE), int(Hook.CONSUME)
_LEAST = 1 << 16  # slots; a power of two, as what they grow to
#: An address that was not seen for this long is forgotten when slots become few. No packet is
#: silent for longer, so that nothing looks for its lifetime any more.
_IDLE_NS = 15_000_000_000

_Table = tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.uint64]]


class Reuse:
    """How often each buffer was freed, as far as the kernel says so, over all batches."""

    def __init__(self) -> None:
        self._table = _empty(_LEAST)
        self._used = 0  # slots

    def tell_apart(self, events: Any, order: Any, rows: Any, use: NDArray[np.int64]) -> None:
        """Write how often the buffer of each observation had been freed before, in place.

        `order`: events by time; `rows`: those of it that are observations; `use` (rows,): what is
        written, and left as it is where there is no buffer.
        """
        at = row = 0
        while at < len(order):
            at, row, self._used = _tell_apart(
                events, order, rows, use, self._table, self._used, at, row
            )
            if at < len(order):
                self._make_room(int(events["time_ns"][order[at]]) - _IDLE_NS)

    def _make_room(self, since_ns: int) -> None:
        # So that at least three quarters are free: an address that found no slot would seem never
        # to be freed, and equal packets that have it one after the other to be one.
        addresses, freed, last_ns = self._table
        kept = np.flatnonzero((addresses != 0) & (last_ns.astype(np.int64) >= since_ns))
        table = _empty(max(_LEAST, 1 << (4 * len(kept) - 1).bit_length()))
        _put(table, addresses[kept], freed[kept], last_ns[kept])
        self._table, self._used = table, len(kept)


def _empty(slots: int) -> _Table:
    # The address (0: the slot is free), how often it was freed, when it was seen last.
    return np.zeros(slots, np.uint64), np.zeros(slots, np.int64), np.zeros(slots, np.uint64)


@jit_plain
def _put(table: Any, addresses: Any, freed: Any, last_ns: Any) -> None:
    known, uses, latest = table
    for i in range(len(addresses)):
        slot = slot_of(known, addresses[i])
        known[slot], uses[slot], latest[slot] = addresses[i], freed[i], last_ns[i]


@jit_plain
def _tell_apart(
    events: Any, order: Any, rows: Any, use: Any, table: Any, used: int, at: int, row: int
) -> tuple[int, int, int]:
    # From the event `at` in `order`, and the row `row`, on; returns how far that went, and how many
    # slots are used then: no further once more than half are.
    addresses, freed, last_ns = table
    while at < len(order) and 2 * used <= len(addresses):
        i = order[at]
        e = events[i]
        slot = slot_of(addresses, e.skb)
        is_known = e.skb != 0 and addresses[slot] == e.skb
        if is_known:
            last_ns[slot] = e.time_ns
        if row < len(rows) and rows[row] == i:
            if e.skb != 0:
                use[row] = freed[slot] if is_known else 0
            row += 1
        if e.skb != 0 and (e.hook == _KFREE or e.hook == _CONSUME):
            if not is_known:
                addresses[slot], freed[slot], last_ns[slot] = e.skb, 0, e.time_ns
                used += 1
            freed[slot] += 1
        at += 1
    return at, row, used
