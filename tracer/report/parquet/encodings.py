"""Values and levels in the encodings of Parquet that runs of equal values make short.

https://parquet.apache.org/docs/file-format/data-pages/encodings/
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.jit import inner, jit
from tracer.report.parquet.thrift import varint

Codes = NDArray[np.int32]
Values = NDArray[np.int64]
Bytes = NDArray[np.uint8]
FEW, MANY = 1 << 10, 1 << 15  # distinct values: what a small table has room for, and a large one
_FACTOR = np.uint64(0x9E3779B97F4A7C15)  # Fibonacci hashing: the upper bits of the product
_BLOCK, _MINI = 128, 32  # values of DELTA_BINARY_PACKED


def levels(valid: Bytes | None, count: int, nulls: int) -> bytes:
    """Return definition levels of a column of one level, with their length before them.

    `valid`: a bit for each value, least significant first, as Arrow has them and Parquet packs
    them; not looked at where none or all of the `count` values are null.
    """
    if valid is None or nulls in (0, count):
        runs = varint(count << 1) + bytes([nulls == 0])
    else:
        runs = varint((count + 7) // 8 << 1 | 1) + valid[: (count + 7) // 8].tobytes()
    return len(runs).to_bytes(4, "little") + runs


def width_of(largest: int) -> int:
    """Return how many bits numbers up to the largest take, at least one."""
    return max(int(largest).bit_length(), 1)


def packed(codes: Codes, width: int) -> bytes:
    """Return codes of `width` bits as RLE_DICTIONARY has them: the width, then runs."""
    out = np.empty(len(codes) // 8 * (width + 6) + width * 8 + 64, np.uint8)
    return bytes([width]) + out[: _runs(codes, width, out)].tobytes()


def one_run(count: int) -> bytes:
    """Return as many codes of 0, as `packed` does."""
    return bytes([1]) + varint(count << 1) + bytes([0])


@inner
def _put_varint(out: Bytes, at: int, number: Any) -> int:
    left = np.uint64(number)
    while left > np.uint64(0x7F):
        out[at] = left & np.uint64(0x7F) | np.uint64(0x80)
        left >>= np.uint64(7)
        at += 1
    out[at] = left
    return at + 1


@inner
def _put_packed(out: Bytes, at: int, codes: Codes, start: int, stop: int, width: int) -> int:
    # Groups of eight, the last one filled up with zeros.
    at = _put_varint(out, at, ((stop - start + 7) // 8 << 1) | 1)
    held, bits = np.uint64(0), 0
    for i in range(start, start + (stop - start + 7) // 8 * 8):
        value = np.uint64(codes[i]) if i < stop else np.uint64(0)
        held |= value << np.uint64(bits)
        bits += width
        while bits >= 8:
            out[at] = held & np.uint64(0xFF)
            held >>= np.uint64(8)
            bits -= 8
            at += 1
    return at


@jit
def _runs(codes: Codes, width: int, out: Bytes) -> int:
    # A run of equal values is told once where that is shorter; the others are packed by eights.
    told = 8 * (2 + (width + 7) // 8)  # bits of a run, its length included
    at = start = i = 0
    while i < len(codes):
        stop = i + 1
        while stop < len(codes) and codes[stop] == codes[i]:
            stop += 1
        if (stop - i) * width <= told and stop < len(codes):
            i = min(i + 8, len(codes))
            continue
        if i > start:
            at = _put_packed(out, at, codes, start, i, width)
        at = _put_varint(out, at, (stop - i) << 1)
        for byte in range((width + 7) // 8):
            out[at] = codes[i] >> (8 * byte) & 0xFF
            at += 1
        i = start = stop
    return _put_packed(out, at, codes, start, i, width) if i > start else at


@jit
def distinct(values: Values, most: int, size: int, codes: Codes, found: Values) -> int:
    """Number the distinct values in order of appearance, and return how many there are.

    Fills in the code of each value and the values found. It is given up where there are more than
    `most`, with -1. `size`: of the table, a power of two above `most`.
    """
    slots = np.zeros(size, np.int32)  # a code + 1
    bits = 0
    while 1 << bits < size:
        bits += 1
    shift = np.uint64(64 - bits)
    count = 0
    for i in range(len(values)):
        if i and values[i] == values[i - 1]:
            codes[i] = codes[i - 1]
            continue
        at = np.int64((np.uint64(values[i]) * _FACTOR) >> shift)
        while slots[at] and found[slots[at] - 1] != values[i]:
            at = (at + 1) & (size - 1)
        if slots[at] == 0:
            if count == most:
                return -1
            found[count] = values[i]
            count += 1
            slots[at] = count
        codes[i] = slots[at] - 1
    return count


def deltas(values: Values) -> bytes:
    """Return values in DELTA_BINARY_PACKED."""
    out = np.empty((len(values) // _BLOCK + 2) * (_BLOCK * 8 + 24) + 40, np.uint8)
    return out[: _deltas(values, out)].tobytes()


@inner
def _zigzag(number: Any) -> Any:
    return np.uint64((number << np.int64(1)) ^ (number >> np.int64(63)))


@inner
def _put_mini(out: Bytes, at: int, numbers: Any, start: int, width: int) -> int:
    # 32 numbers of a width: whole bytes.
    held, bits = np.uint64(0), 0
    for i in range(start, start + _MINI):
        held |= numbers[i] << np.uint64(bits)
        over = bits + width - 64
        bits += width
        if over >= 0:
            for _ in range(8):
                out[at] = held & np.uint64(0xFF)
                held >>= np.uint64(8)
                at += 1
            held = numbers[i] >> np.uint64(width - over) if over else np.uint64(0)
            bits = over
    while bits > 0:
        out[at] = held & np.uint64(0xFF)
        held >>= np.uint64(8)
        bits -= 8
        at += 1
    return at


@jit
def _deltas(values: Values, out: Bytes) -> int:
    # Differences wrap around at 64 bits, as readers add them.
    count = len(values)
    at = count - count  # 0, but not as a literal, for which callees would be compiled apart
    for number in (_BLOCK, _BLOCK // _MINI, count):
        at = _put_varint(out, at, number)
    at = _put_varint(out, at, _zigzag(values[0] if count else np.int64(0)))
    numbers = np.zeros(_BLOCK, np.uint64)
    for start in range(1, count, _BLOCK):
        size = min(_BLOCK, count - start)
        least = values[start] - values[start - 1]
        for i in range(1, size):
            least = min(least, values[start + i] - values[start + i - 1])
        at = _put_varint(out, at, _zigzag(least))
        widths = at
        at += _BLOCK // _MINI
        for i in range(_BLOCK):
            some = i < size
            numbers[i] = np.uint64(
                values[start + i] - values[start + i - 1] - least if some else np.int64(0)
            )
        for mini in range(_BLOCK // _MINI):
            every = np.uint64(0)
            for i in range(mini * _MINI, (mini + 1) * _MINI):
                every |= numbers[i]
            width = 0
            while every:
                width += 1
                every >>= np.uint64(1)
            out[widths + mini] = width
            if mini * _MINI < size:
                at = _put_mini(out, at, numbers, mini * _MINI, width)
    return at
