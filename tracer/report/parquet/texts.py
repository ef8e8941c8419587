"""Texts as a Parquet dictionary has them: each once.

Arrow's reader takes texts that are there twice for one, and then reads other rows wrong.
"""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tracer.core.jit import inner_plain, jit_plain
from tracer.core.mixing import GOLDEN
from tracer.report.parquet.encodings import Bytes
from tracer.report.parquet.runs import Rows, Values, distinct, frozen


def plain_texts(texts: pa.StringArray) -> Bytes | None:
    """Return texts of which none is null, each after its length in four bytes (PLAIN).

    None where a text is there twice.
    """
    first, count = texts.offset, len(texts)
    if not count:
        return np.empty(0, np.uint8)
    _, offsets, data = texts.buffers()
    ends = frozen(np.frombuffer(offsets, np.int32)[first : first + count + 1])
    out = np.empty(4 * count + int(ends[-1]) - int(ends[0]), np.uint8)
    hashes = np.empty(count, np.int64)
    _put_texts(frozen(np.frombuffer(data or b"", np.uint8)), ends, out, hashes)
    # Texts of different hashes differ; those of one hash are mostly the same.
    found = distinct(frozen(hashes))
    differ = found is not None and len(found[1]) == count
    return out if differ or pc.count_distinct(texts).as_py() == count else None


@jit_plain
def _put_texts(data: Bytes, ends: Rows, out: Bytes, hashes: Values) -> None:
    at = 0
    for row in range(len(ends) - 1):
        start, size = ends[row], ends[row + 1] - ends[row]
        for byte in range(4):
            out[at + byte] = size >> (8 * byte) & 0xFF
        at += 4
        text, to = data[start : start + size], out[at : at + size]
        for i in range(size):
            to[i] = text[i]
        at += size
        hashes[row] = _hash(text)


@inner_plain
def _hash(text: Any) -> Any:
    # Two words at a time: neither has to wait for the other's product.
    one = two = np.uint64(len(text))
    for i in range(len(text) // 16):
        first = second = np.uint64(0)
        for byte in range(8):
            first |= np.uint64(text[16 * i + byte]) << np.uint64(8 * byte)
            second |= np.uint64(text[16 * i + 8 + byte]) << np.uint64(8 * byte)
        one, two = (one ^ first) * GOLDEN, (two ^ second) * GOLDEN
        one, two = one ^ one >> np.uint64(32), two ^ two >> np.uint64(32)
    for i in range(len(text) // 16 * 16, len(text)):
        one = (one ^ np.uint64(text[i])) * GOLDEN
    return np.int64(one ^ one >> np.uint64(32)) ^ np.int64(two * GOLDEN)
