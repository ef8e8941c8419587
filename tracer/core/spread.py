"""Packets' fields side by side: all columns of chosen rows in one pass over their records."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.jit import jit
from tracer.core.rows import Rows
from tracer.core.schema import PACKET_DTYPE, StructuredArray

_FIELDS: Mapping[str, Any] = PACKET_DTYPE.fields or {}
_PLACE = {name: place for place, name in enumerate(_FIELDS)}
_WORDS = PACKET_DTYPE.itemsize // 8
_BLOCK = 128  # records that stay in the first cache while their fields are read one after the other


def _shifts() -> NDArray[np.int64]:
    # Of each field: the eight bytes of a record it lies in, and by how many bits these are moved up
    # and then down again, so that the field alone is left with its sign.
    places = []
    for dtype, offset, *_ in _FIELDS.values():
        bits = 8 * dtype.itemsize
        places.append((offset // 8, 64 - 8 * (offset % 8) - bits, 64 - bits))
    return np.array(places)


_SHIFTS = _shifts()


@jit
def _spread(words: Any, rows: Rows, shifts: Any, out: Any) -> None:
    for begin in range(0, len(rows), _BLOCK):
        end = min(begin + _BLOCK, len(rows))
        for field in range(len(shifts)):
            word, up, down = shifts[field, 0], shifts[field, 1], shifts[field, 2]
            for i in range(begin, end):
                out[field, i] = (words[rows[i], word] << up) >> down


class Spread:
    """The packet columns of some rows; each row is in the batch (-1 is not allowed)."""

    def __init__(self, packets: StructuredArray, rows: Rows) -> None:
        self._values = np.empty((len(_FIELDS), len(rows)), np.int64)
        words = packets.view(np.int64).reshape(-1, _WORDS)
        _spread(words, rows, _SHIFTS, self._values)

    def of(self, field: str) -> NDArray[Any]:
        """Return a field of PACKET_DTYPE, shape (rows,): int64, or uint64 where it is stored so."""
        values: NDArray[np.int64] = self._values[_PLACE[field]]
        return values.view(np.uint64) if PACKET_DTYPE[field] == np.uint64 else values
