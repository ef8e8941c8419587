"""Runs of equal values, the distinct ones among them, and values without nulls.

The hops of a packet lie side by side and have most of their values in common, so what is found for
the first row of a run need not be looked for at the others.
"""

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from tracer.core.jit import jit, jit_plain
from tracer.core.mixing import GOLDEN

Rows = NDArray[np.int32]
Codes = NDArray[np.int32]
Values = NDArray[np.int64]
Array = TypeVar("Array", bound=NDArray[Any])
_FEW, _MANY = 1 << 10, 1 << 15  # distinct values: what a small table has room for, and a large one
_BYTES = np.uint64(0x0001020304050607)  # times 1 << 8 * i: the highest byte is i
_BLOCK = 1 << 10  # rows that are compared at once


def frozen(values: Array) -> Array:
    """Return values that are not to be written to, as those of Arrow are.

    For numba that is a type of its own, and one type is compiled where all are alike.
    """
    values.flags.writeable = False
    return values


def kept(values: NDArray[Any], valid: NDArray[np.uint8], nulls: int) -> NDArray[Any]:
    """Return the values (int32 or int64) that are not null.

    `valid`: a bit for each value, least significant first; those behind the last are 0. `nulls`:
    how many are 0 before that.
    """
    found = np.empty(len(values) - nulls + 1, values.dtype)
    _keep(values, valid, found)
    return frozen(found[:-1])


@jit_plain
def _keep(values: Any, valid: Any, found: Any) -> None:
    at = 0
    for byte in range(len(valid)):
        bits = valid[byte]
        if bits == 0:
            continue
        some, to = values[byte * 8 : byte * 8 + 8], found[at : at + 8]
        if bits == 0xFF:
            for i in range(8):
                to[i] = some[i]
            at += 8
            continue
        # Each is written, and the next one over it if it is null: nothing to be guessed wrong.
        put = 0
        for i in range(len(some)):
            to[put] = some[i]
            put += bits >> i & 1
        at += put


def starts(values: NDArray[Any]) -> Rows | None:
    """Return the rows, in order, at which runs of equal values (int32 or int64) begin.

    None where there are more runs than a quarter of the rows.
    """
    found = np.empty(len(values) // 4 + 8, np.int32)
    count = _starts(values, found)
    return frozen(found[:count]) if 0 < count <= max(len(values) // 4, 1) else None


@jit
def _starts(values: Any, found: Rows) -> int:
    if len(values) == 0:
        return 0
    found[0] = 0
    count = 1
    # Comparing takes no branches, and rows are then looked at by eights. Slices are made of which
    # the compiler sees that no index is negative: only then are many values compared at once.
    differs = np.empty(_BLOCK, np.uint8)
    eights = differs.view(np.uint64)
    for block in range(1, len(values), _BLOCK):
        size = min(_BLOCK, len(values) - block)
        these, before = values[block : block + size], values[block - 1 : block - 1 + size]
        for i in range(size):
            differs[i] = these[i] != before[i]
        differs[size : (size + 7) // 8 * 8] = 0
        for eight in range((size + 7) // 8):
            left = eights[eight]
            if left and count + 8 > len(found):
                return -1
            while left:
                first = left & (~left + np.uint64(1))  # 1 << 8 * i, where the lowest byte is i
                found[count] = block + eight * 8 + np.int64((first * _BYTES) >> np.uint64(56))
                count += 1
                left ^= first
    return count


def distinct(values: Values) -> tuple[Codes, Values] | None:
    """Return the code of each value, and the distinct values in order of appearance, by code.

    None where there are more than a dictionary is good for.
    """
    codes = np.empty(len(values), np.int32)
    for limit in (_FEW, _MANY):
        most = min(limit, len(values))
        found = np.empty(most, np.int64)
        count = _distinct(values, 1 << (2 * most).bit_length(), codes, found)
        if count >= 0:
            return frozen(codes), found[:count]
    return None


@jit
def _distinct(values: Values, size: int, codes: Codes, found: Values) -> int:
    # How many there are; -1 where they do not all go into `found`. `size`: of a table, a power of
    # two, of which less than half is then taken.
    slots = np.zeros(size, np.int32)  # a code + 1
    bits = 0
    while 1 << bits < size:
        bits += 1
    shift = np.uint64(64 - bits)
    count = 0
    for i in range(len(values)):
        value = values[i]
        at = np.int64((np.uint64(value) * GOLDEN) >> shift)
        while slots[at] and found[slots[at] - 1] != value:
            at = (at + 1) & (size - 1)
        if slots[at] == 0:
            if count == len(found):
                return -1
            found[count] = value
            count += 1
            slots[at] = count
        codes[i] = slots[at] - 1
    return count
