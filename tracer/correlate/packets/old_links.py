"""Ethernet headers that say nothing of the link a packet is on."""

from dataclasses import replace

import numpy as np

from tracer.core.address import NULL_U64
from tracer.core.batch import ObservationBatch


def without_old_links(batch: ObservationBatch) -> ObservationBatch:
    """Return the batch with MACs of the link that each packet is on, null where none is yet.

    After routing, at the hook before the device it leaves by, a buffer still has the header that it
    came with (linux/netfilter.h: POSTROUTING). The same batch where there is none such.
    """
    left = np.array([*(point.hook == "postrouting" for point in batch.points), False], np.bool_)
    rows = np.flatnonzero(left[batch.packets["point"]]) if left.any() else np.empty(0, np.int64)
    if not len(rows):
        return batch
    packets = batch.packets.copy()
    packets["src_mac"][rows] = packets["dst_mac"][rows] = NULL_U64
    return replace(batch, packets=packets)
