"""Which hops changed alike: a key for each hop, without a look at any value twice."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.address import NULL_U64
from tracer.core.changes import CHANGE_FIELDS, parent_rows
from tracer.core.jit import jit
from tracer.core.journeys import JourneySet
from tracer.core.mixing import Keys, mix, mixed
from tracer.core.rows import Rows, has_record, is_packet_column, is_stored, values_at
from tracer.core.schema import PACKET_DTYPE

_FIELDS: Mapping[str, Any] = PACKET_DTYPE.fields or {}
_WORDS = PACKET_DTYPE.itemsize // 8


def _masks() -> tuple[NDArray[np.int64], Keys, NDArray[np.int64]]:
    # Of each part of a packet's field: the eight bytes of a record it lies in, and which of them;
    # and where the other part is, if there is one: an address changes as a whole.
    words, masks = [], []
    others: list[int] = []
    for name in CHANGE_FIELDS:
        for part in (name, f"{name}_hi", f"{name}_lo"):
            if part in _FIELDS:
                dtype, offset = _FIELDS[part][:2]
                words.append(offset // 8)
                bits = (1 << 8 * dtype.itemsize) - 1
                masks.append(bits << 8 * (offset % 8))
                others.append(len(others) + {f"{name}_hi": 1, f"{name}_lo": -1}.get(part, 0))
    return np.array(words), np.array(masks, np.uint64), np.array(others)


_PLACES, _MASKS, _OTHERS = _masks()
_MAC = _FIELDS["dst_mac"][1] // 8  # of eight bytes
_NO_MAC = np.uint64(NULL_U64)


@jit
def _packet_keys(
    words: Keys, before: Rows, rows: Rows, causes: NDArray[np.int8], places: Rows, masks: Keys,
    others: Rows,
) -> Keys:  # fmt: skip
    keys = np.empty(len(rows), np.uint64)
    for i in range(len(rows)):
        a, b = before[i], rows[i]
        if a < 0:  # a first hop
            keys[i] = 0
            continue
        # Whether both sides are Ethernet decides what a missing tag means.
        ethernet = 2 * (words[a, _MAC] != _NO_MAC) + (words[b, _MAC] != _NO_MAC)
        h = np.uint64(4 * causes[i] + 4 + ethernet)
        for k in range(len(places)):
            one, other = words[a, places[k]] & masks[k], words[b, places[k]] & masks[k]
            differs = one != other
            if others[k] != k:  # it has no mask: it is eight bytes
                place = places[others[k]]
                differs = differs or words[a, place] != words[b, place]
            if differs:
                h = mix(mix(mix(h, k), one), other)
        keys[i] = h
    return keys


def change_keys(journey_set: JourneySet, hops: Rows) -> Keys:
    """Return a hash for each of the hops (indices into the set's hops), shape (hops,).

    Hops of equal keys have equal changes (`core.changes.changes_at`), but for a chance of 2**-64.
    """
    batch, hops = journey_set.observations, np.asarray(hops, np.int64)
    before, rows = parent_rows(journey_set, hops), journey_set.hops["row"][hops]
    words = batch.packets.view(np.uint64).reshape(-1, _WORDS)
    causes = journey_set.hops["cause"][hops]
    keys = _packet_keys(words, before, rows, causes, _PLACES, _MASKS, _OTHERS)
    if len(batch.sections["tunnel"]):  # which are Ethernet too, or carry it
        for side in (before, rows):
            keys = mixed(keys, has_record(batch, "tunnel", side))
    for name in CHANGE_FIELDS:
        if not is_packet_column(name) and is_stored(batch, name):
            for side in (before, rows):
                for part in values_at(batch, name, side):
                    keys = mixed(keys, part)
    return keys
