"""Addresses of buffers that the kernel uses again: what tells one use from the next.

The kernel frees an sk_buff and has the next packet in it within microseconds. Where packets are
equal, as ARP requests are, nothing but the event of its being freed shows that it is another one.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.jit import jit
from tracer.sources.live.event_layout import Hook

_KFREE, _CONSUME = int(Hook.KFREE), int(Hook.CONSUME)
_SLOTS = 1 << 16
_MIX = np.uint64(0x9E3779B97F4A7C15)
#: An address that was not seen for this long gives its slot to another one. No packet is silent
#: for longer, so that nothing looks for its lifetime any more.
_IDLE_NS = 15_000_000_000


class Reuse:
    """How often each buffer was freed, as far as the kernel says so, over all batches."""

    def __init__(self) -> None:
        self._address = np.zeros(_SLOTS, np.uint64)
        self._freed = np.zeros(_SLOTS, np.int64)
        self._last_ns = np.zeros(_SLOTS, np.int64)

    def tell_apart(self, events: Any, order: Any, rows: Any, use: NDArray[np.int64]) -> None:
        """Write how often the buffer of each observation had been freed before, in place.

        `order`: events by time; `rows`: those of it that are observations; `use` (rows,): what is
        written, and left as it is where there is no buffer.
        """
        table = (self._address, self._freed, self._last_ns)
        _tell_apart(events, order, rows, use, table)


@jit
def _tell_apart(events: Any, order: Any, rows: Any, use: Any, table: Any) -> None:
    addresses, freed, last_ns = table
    row = 0
    for i in order:
        e = events[i]
        slot = np.int64((e.skb * _MIX) >> np.uint64(48))
        is_known = addresses[slot] == e.skb
        if is_known:
            last_ns[slot] = e.time_ns
        if row < len(rows) and rows[row] == i:
            if e.skb != 0:
                use[row] = freed[slot] if is_known else 0
            row += 1
        if e.skb == 0 or (e.hook != _KFREE and e.hook != _CONSUME):
            continue
        if not is_known:
            if addresses[slot] != 0 and e.time_ns - last_ns[slot] < _IDLE_NS:
                continue
            addresses[slot], freed[slot], last_ns[slot] = e.skb, 0, e.time_ns
        freed[slot] += 1
