"""Copies of broadcasts and multicasts that a kernel hands to its own host while it sends them.

Such a copy shows no link header and comes in by the device that the packet goes out by, often
before it (`ip_mc_output` and `ip6_finish_output` of Linux call `dev_loopback_xmit` first). Sniffers
do not see it.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.address import NULL_U64, V4_PREFIX
from tracer.core.batch import ObservationBatch
from tracer.core.jit import inner_plain, jit_plain
from tracer.core.point import Direction
from tracer.correlate.hashing import Codes
from tracer.correlate.packets.identity import Identity
from tracer.correlate.packets.one_link import is_for_group

_NULL = np.uint64(NULL_U64)
_GROUPS_V4 = np.uint64((V4_PREFIX | 0xE0000000) >> 28)  # 224.0.0.0/4
Mask = NDArray[np.bool_]


def after_output(batch: ObservationBatch, identity: Identity, rows: Codes, starts: Codes) -> None:
    """Put such copies right behind the packet's own way out, in place.

    `rows` and `starts`: the hops of each journey in order.
    """
    kernel = batch.sections["kernel"]
    entering = np.array([*(_is(p, Direction.INGRESS) for p in batch.points), False])
    of = kernel["row"]
    looped = of[entering[batch.packets["point"][of]] & (identity.dst_mac[of] == _NULL)]
    looped = looped[identity.src_mac[looped] == _NULL]
    if not len(looped):
        return
    is_looped = np.zeros(len(batch), np.bool_)
    is_looped[looped] = True
    leaving = np.array([*(_is(p, Direction.EGRESS) for p in batch.points), False])
    journeys = np.searchsorted(starts, np.flatnonzero(is_looped[rows]), "right") - 1
    _move(
        batch.packets, rows, starts, np.unique(journeys), is_looped,
        leaving[batch.packets["point"]], identity.place, identity.ttl,
    )  # fmt: skip


def _is(point: Any, direction: Direction) -> bool:
    return bool(point.direction == direction and point.hook is None)


@inner_plain
def _goes_to_group(r: Any) -> bool:
    if is_for_group(r.dst_mac):
        return True
    if r.ip_version == 6:
        return bool(r.dst_hi >> np.uint64(56) == 0xFF)
    return bool(r.ip_version == 4 and r.dst_lo >> np.uint64(28) == _GROUPS_V4)


@jit_plain
def _move(
    p: Any, rows: Codes, starts: Codes, journeys: Codes, is_looped: Mask, leaving: Mask,
    place: Codes, ttl: Codes,
) -> None:  # fmt: skip
    for journey in journeys:
        start, stop = starts[journey], starts[journey + 1]
        for i in range(start, stop):
            row = rows[i]
            if not is_looped[row]:
                continue
            out = start
            while out < stop and not (
                leaving[rows[out]]
                and place[rows[out]] == place[row]
                and ttl[rows[out]] == ttl[row]
                and _goes_to_group(p[rows[out]])
            ):
                out += 1
            if out == stop:
                continue
            step = 1 if out > i else -1
            k, to = i, out if out > i else out + 1
            while k != to:
                rows[k] = rows[k + step]
                k += step
            rows[to] = row
