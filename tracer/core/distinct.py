"""The distinct values of a column and where each is, as dictionary-encoded columns have them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.jit import jit_plain
from tracer.core.mixing import Keys, mix

Found = tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.uint8], int]
_SEED = np.uint64(1)  # not one of the halves, which are mostly equal or 0


def distinct(high: Keys, low: Keys, null: int) -> Found:
    """Return (codes, firsts, valid, missing) of pairs of uint64, where (null, null) is null.

    `codes` (rows,) are dense and in order of appearance, any for null; `firsts` (values,) says
    where each appeared first; `valid` has a bit a row, least significant first; `missing` counts
    nulls. A column of one part is given as both.
    """
    slots = np.zeros(1 << (2 * len(low)).bit_length(), np.int32)
    codes = np.empty(len(low), np.int32)
    firsts = np.empty(len(low), np.int64)
    valid = np.zeros((len(low) + 7) // 8, np.uint8)
    count, missing = _distinct(high, low, np.uint64(null), slots, codes, firsts, valid)
    return codes, firsts[:count].copy(), valid, missing


@jit_plain
def _distinct(
    high: Keys, low: Keys, null: Any, slots: Any, codes: Any, firsts: Any, valid: Any
) -> tuple[int, int]:
    count, missing, code = 0, 0, 0
    last = -1  # the row before that is not null
    for row in range(len(low)):
        one, other = high[row], low[row]
        if one == null and other == null:
            codes[row] = 0
            missing += 1
            continue
        valid[row >> 3] |= 1 << (row & 7)
        # A packet's hops lie side by side, and most of their values are equal.
        if last < 0 or other != low[last] or one != high[last]:
            at = np.int64(mix(mix(_SEED, one), other) & np.uint64(len(slots) - 1))
            while slots[at] and (
                low[firsts[slots[at] - 1]] != other or high[firsts[slots[at] - 1]] != one
            ):
                at = (at + 1) & (len(slots) - 1)
            if slots[at] == 0:
                firsts[count] = row
                count += 1
                slots[at] = count
            code = slots[at] - 1
        codes[row] = code
        last = row
    return count, missing
