"""Levels, codes and texts in the encodings of Parquet.

https://parquet.apache.org/docs/file-format/data-pages/encodings/
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.jit import inner_plain, jit_plain
from tracer.report.parquet.runs import Codes, Rows, frozen
from tracer.report.parquet.thrift import varint

Bytes = NDArray[np.uint8]
_MOST_GROUPS = 63  # of eight codes told as they are, so that their number takes one byte


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


def packed(codes: Codes, starts: Rows | None, count: int, largest: int) -> bytes:
    """Return codes as RLE_DICTIONARY has them: how many bits one takes, then runs.

    `codes`: of `count` rows, or of the runs of rows that begin at `starts`. `largest`: a number
    that none is above.
    """
    width = max(int(largest).bit_length(), 1)
    if starts is None:
        groups = (count + 7) // 8
        words = np.zeros(groups * width // 8 + 1, np.uint64)
        _pack(codes if count % 2 == 0 else frozen(np.append(codes, np.int32(0))), width, words)
        data = words.view(np.uint8)[: groups * width].tobytes()
        return bytes([width]) + varint(groups << 1 | 1) + data
    out = np.empty(count // 8 * (width + 6) + width * 8 + 64, np.uint8)
    return bytes([width]) + out[: _runs(codes, starts, count, width, out)].tobytes()


@inner_plain
def put_varint(out: Bytes, at: int, number: Any) -> int:
    """Write a number as `varint` does, and return where the next byte goes."""
    left = np.uint64(number)
    while left > np.uint64(0x7F):
        out[at] = left & np.uint64(0x7F) | np.uint64(0x80)
        left >>= np.uint64(7)
        at += 1
    out[at] = left
    return at + 1


@jit_plain
def _pack(codes: Codes, width: int, words: Any) -> None:
    # An even number of codes, by pairs, which are shorter than a word.
    one, two, full = np.uint64(width), np.uint64(2 * width), np.uint64(64)
    held, bits, at = np.uint64(0), np.uint64(0), 0
    for i in range(len(codes) // 2):
        pair = np.uint64(codes[2 * i]) | np.uint64(codes[2 * i + 1]) << one
        held |= pair << bits
        bits += two
        if bits >= full:
            words[at] = held
            at += 1
            bits -= full
            held = pair >> (two - bits)
    if bits:
        words[at] = held


@jit_plain
def _runs(codes: Codes, starts: Rows, count: int, width: int, out: Bytes) -> int:
    # A run of equal codes is told once where that is shorter; the others are packed by eights.
    told = 8 * (2 + (width + 7) // 8)  # bits of a run, its length included
    at = head = groups = row = run = 0
    while row < count:
        end = starts[run + 1] if run + 1 < len(starts) else count
        if (end - row) * width > told or end == count:
            if groups:
                out[head] = groups << 1 | 1
                groups = 0
            at = put_varint(out, at, (end - row) << 1)
            for byte in range((width + 7) // 8):
                out[at] = codes[run] >> (8 * byte) & 0xFF
                at += 1
            row = end
            run += 1
            continue
        if groups == _MOST_GROUPS:
            out[head] = groups << 1 | 1
            groups = 0
        if groups == 0:
            head = at
            at += 1
        groups += 1
        held, bits = np.uint64(0), 0
        for _ in range(8):
            if row < count:  # those behind the last are 0
                held |= np.uint64(codes[run]) << np.uint64(bits)
                row += 1
                if row == end:
                    run += 1
                    end = starts[run + 1] if run + 1 < len(starts) else count
            bits += width
            while bits >= 8:
                out[at] = held & np.uint64(0xFF)
                held >>= np.uint64(8)
                bits -= 8
                at += 1
    if groups:
        out[head] = groups << 1 | 1
    return at
