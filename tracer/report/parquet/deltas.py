"""Numbers most of which differ, by their differences (DELTA_BINARY_PACKED).

https://parquet.apache.org/docs/file-format/data-pages/encodings/
"""

from typing import Any

import numpy as np

from tracer.core.jit import inner_plain, jit
from tracer.report.parquet.encodings import Bytes, put_varint
from tracer.report.parquet.runs import Values

_BLOCK, _MINI = 128, 32  # values of which the least is told, and of one width
_MINIS = _BLOCK // _MINI


def deltas(values: Values) -> bytes:
    """Return values in DELTA_BINARY_PACKED."""
    out = np.empty((len(values) // _BLOCK + 2) * (_BLOCK * 8 + 24) + 40, np.uint8)
    return out[: _deltas(values, out)].tobytes()


@inner_plain
def _zigzag(number: Any) -> Any:
    return np.uint64((number << np.int64(1)) ^ (number >> np.int64(63)))


@inner_plain
def _width(number: Any) -> int:
    # How many bits it takes, of 64.
    left, width = np.uint64(number), 0
    for step in (32, 16, 8, 4, 2, 1):
        if left >> np.uint64(step):
            left >>= np.uint64(step)
            width += step
    return width + 1 if left else 0


@inner_plain
def _put_mini(out: Bytes, at: int, numbers: Any, start: int, width: int) -> int:
    # 32 numbers of a width: whole bytes.
    held, bits = np.uint64(0), 0
    for i in range(start, start + _MINI):
        held |= numbers[i] << np.uint64(bits)
        over = bits + width - 64
        bits += width
        if over >= 0:
            for byte in range(8):
                out[at + byte] = held >> np.uint64(8 * byte) & np.uint64(0xFF)
            at += 8
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
    for number in (_BLOCK, _MINIS, count):
        at = put_varint(out, at, number)
    at = put_varint(out, at, _zigzag(values[0] if count else np.int64(0)))
    numbers = np.zeros(_BLOCK, np.uint64)
    for start in range(1, count, _BLOCK):
        size = min(_BLOCK, count - start)
        # Slices, of which the compiler sees that no index is negative: many are taken at once.
        these, before = values[start : start + size], values[start - 1 : start - 1 + size]
        least = these[0] - before[0]
        for i in range(size):
            least = min(least, these[i] - before[i])
        at = put_varint(out, at, _zigzag(least))
        for i in range(size):
            numbers[i] = np.uint64(these[i] - before[i] - least)
        numbers[size:] = 0
        widths = at
        at += _MINIS
        for mini in range(_MINIS):
            every = np.uint64(0)
            for i in range(_MINI):
                every |= numbers[mini * _MINI + i]
            width = _width(every)
            out[widths + mini] = width
            if width:
                at = _put_mini(out, at, numbers, mini * _MINI, width)
    return at
