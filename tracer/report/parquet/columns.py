"""A column of a table as the pages of a Parquet column chunk."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import zstandard
from numpy.typing import NDArray

from tracer.report.parquet.encodings import (
    FEW,
    MANY,
    deltas,
    distinct,
    levels,
    one_run,
    packed,
    width_of,
)
from tracer.report.parquet.thrift import HOLE, Template

# https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift
BOOLEAN, INT64, DOUBLE, BYTE_ARRAY = 0, 2, 5, 6
_PLAIN, _RLE, _DELTA, _RLE_DICTIONARY = 0, 3, 5, 8
UNCOMPRESSED, ZSTD = 0, 6
_DATA_PAGE, _DICTIONARY_PAGE = 0, 2
_LEAST = 128  # bytes that are worth compressing
# Bytes before and after compression, and how many values; of data also their encoding.
_DATA_HEADER = Template([(1, _DATA_PAGE), (2, HOLE), (3, HOLE),
    (5, Template([(1, HOLE), (2, HOLE), (3, _RLE), (4, _RLE)]))])  # fmt: skip
_DICTIONARY_HEADER = Template([(1, _DICTIONARY_PAGE), (2, HOLE), (3, HOLE),
    (7, Template([(1, HOLE), (2, _PLAIN), (3, False)]))])  # fmt: skip
#: The physical type of each type that is written here.
TYPES = {
    pa.int64(): INT64,
    pa.float64(): DOUBLE,
    pa.bool_(): BOOLEAN,
    pa.dictionary(pa.int32(), pa.string()): BYTE_ARRAY,
}


@dataclass(frozen=True, slots=True)
class Chunk:
    """Pages of one column: bytes, where the data page begins in them, and what tells of them.

    `raw`: bytes before compression, headers included. `limits`: the least and the greatest of the
    values that are not null, where asked for and there is one.
    """

    pages: bytes
    data_at: int
    raw: int
    codec: int
    encodings: tuple[int, ...]
    values: int
    nulls: int
    limits: tuple[int, int] | None = None


class Columns:
    """Encodes columns of tables; keeps what it takes to compress."""

    def __init__(self) -> None:
        self._compressor = zstandard.ZstdCompressor(level=1)
        self._nulls: dict[int, Chunk] = {}  # by how many: columns of nothing else are all alike

    def chunk(self, column: pa.ChunkedArray, kind: int, *, delta: bool, limits: bool) -> Chunk:
        """Return a column's chunk, of type `TYPES[column.type]`.

        `delta`: whether most values differ, but not by much. `limits`: whether the least and the
        greatest are asked for, of a column of int64.
        """
        count, nulls = len(column), column.null_count
        if nulls == count:
            if count not in self._nulls:
                head = levels(None, count, count)
                self._nulls[count] = self._chunk(None, _PLAIN, head, count, count)
            return self._nulls[count]
        array = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
        valid = _valid(array) if nulls else None
        head = levels(valid, count, nulls)
        kept = None
        if valid is not None:
            kept = np.unpackbits(valid, count=count, bitorder="little").view(np.bool_)
        if kind == BOOLEAN:
            return self._chunk(None, _PLAIN, head + _bits(array, kept), count, nulls)
        if kind == BYTE_ARRAY:
            codes = _values(array.indices, np.int32, kept)
            dictionary = len(array.dictionary), _plain_texts(array.dictionary)
            body = head + _coded(codes, dictionary[0])
            return self._chunk(dictionary, _RLE_DICTIONARY, body, count, nulls)
        values = _values(array, np.int64, kept)
        ends = (int(values.min()), int(values.max())) if limits else None
        if delta:
            return self._chunk(None, _DELTA, head + deltas(values), count, nulls, ends)
        return self._numbers(values, head, count, nulls, ends)

    def _numbers(
        self,
        values: NDArray[np.int64],
        head: bytes,
        count: int,
        nulls: int,
        limits: tuple[int, int] | None,
    ) -> Chunk:
        codes = np.empty(len(values), np.int32)
        for most in (FEW, MANY):
            found = np.empty(min(most, len(values)), np.int64)
            size = distinct(values, min(most, len(values)), 2 * most, codes, found)
            if size >= 0:
                body = head + _coded(codes, size)
                dictionary = size, found[:size].tobytes()
                return self._chunk(dictionary, _RLE_DICTIONARY, body, count, nulls, limits)
        return self._chunk(None, _PLAIN, head + values.tobytes(), count, nulls, limits)

    def _chunk(
        self, dictionary: tuple[int, bytes] | None, encoding: int, body: bytes, count: int,
        nulls: int, limits: tuple[int, int] | None = None,
    ) -> Chunk:  # fmt: skip
        # One codec holds for all pages of a chunk.
        parts = ([] if dictionary is None else [dictionary[1]]) + [body]
        smaller = parts
        codec = UNCOMPRESSED
        if sum(map(len, parts)) >= _LEAST:
            smaller = [self._compressor.compress(part) for part in parts]
            codec = ZSTD
        pages = bytearray()
        raw = 0
        if dictionary is not None:
            sizes = len(dictionary[1]), len(smaller[0]), dictionary[0]
            header = _DICTIONARY_HEADER.filled(*sizes).data
            pages += header + smaller[0]
            raw += len(header) + len(dictionary[1])
        data_at = len(pages)
        header = _DATA_HEADER.filled(len(body), len(smaller[-1]), count, encoding).data
        pages += header + smaller[-1]
        raw += len(header) + len(body)
        encodings = (_PLAIN, _RLE, encoding) if dictionary is not None else (_RLE, encoding)
        return Chunk(bytes(pages), data_at, raw, codec, encodings, count, nulls, limits)


def _coded(codes: NDArray[np.int32], values: int) -> bytes:
    return one_run(len(codes)) if values == 1 else packed(codes, width_of(values - 1))


def _valid(array: pa.Array) -> NDArray[np.uint8]:
    # The validity of each value as bits that begin with a byte; those behind the last are 0.
    return _from_bit(np.frombuffer(array.buffers()[0], np.uint8), array.offset, len(array))


def _from_bit(bits: NDArray[np.uint8], offset: int, count: int) -> NDArray[np.uint8]:
    if offset % 8 or count % 8:
        whole = np.unpackbits(bits[offset // 8 :], count=offset % 8 + count, bitorder="little")
        return np.packbits(whole[offset % 8 :], bitorder="little")
    return bits[offset // 8 : (offset + count) // 8]


def _bits(array: pa.Array, kept: NDArray[np.bool_] | None) -> bytes:
    bits = _from_bit(np.frombuffer(array.buffers()[1], np.uint8), array.offset, len(array))
    if kept is not None:
        flags = np.unpackbits(bits, count=len(array), bitorder="little")[kept]
        bits = np.packbits(flags, bitorder="little")
    return bits.tobytes()


def _values(array: pa.Array, dtype: Any, kept: NDArray[np.bool_] | None) -> NDArray[Any]:
    # Those that are not null, as whole numbers of the same bits.
    values = np.frombuffer(array.buffers()[1], dtype)[array.offset : array.offset + len(array)]
    return values if kept is None else values[kept]


def _plain_texts(texts: pa.Array) -> bytes:
    # Each after its length, in four bytes.
    count = len(texts)
    ends = np.frombuffer(texts.buffers()[1], np.int32)[texts.offset : texts.offset + count + 1]
    lengths = pa.py_buffer(np.diff(ends).astype("<i4"))
    starts = pa.py_buffer(np.arange(0, 4 * count + 1, 4, dtype=np.int32))
    prefixes = pa.Array.from_buffers(pa.binary(), count, [None, starts, lengths])
    both = pc.binary_join_element_wise(prefixes, texts.cast(pa.binary()), b"")
    ends = np.frombuffer(both.buffers()[1], np.int32)
    return both.buffers()[2].to_pybytes()[ends[0] : ends[count]] if count else b""
