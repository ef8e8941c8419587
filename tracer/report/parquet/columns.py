"""A column of a table as the pages of a Parquet column chunk."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import zstandard
from numpy.typing import NDArray

from tracer.report.parquet.deltas import deltas
from tracer.report.parquet.encodings import Bytes, levels, packed
from tracer.report.parquet.runs import distinct, frozen, kept, starts
from tracer.report.parquet.texts import plain_texts
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
        greatest are asked for. Both: of a column of int64.
        """
        if kind == BYTE_ARRAY and any(each.dictionary.null_count for each in column.chunks):
            # Parquet has nulls in levels alone.
            column = _encoded_anew(column)
        count, nulls = len(column), column.null_count
        if nulls == count:
            if count not in self._nulls:
                head = levels(None, count, count)
                self._nulls[count] = self._chunk(None, _PLAIN, head, count, count)
            return self._nulls[count]
        array = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
        valid = _valid(array) if nulls else None
        head = levels(valid, count, nulls)
        if kind == BOOLEAN:
            return self._chunk(None, _PLAIN, head + _bits(array, valid), count, nulls)
        if kind == BYTE_ARRAY:
            return self._texts(array, valid, head, nulls)
        values = _values(array, np.int64, valid, nulls)
        if delta:
            ends = _ends(values) if limits else None
            return self._chunk(None, _DELTA, head + deltas(values), count, nulls, ends)
        return self._numbers(values, head, count, nulls, limits=limits)

    def _texts(self, array: pa.Array, valid: Bytes | None, head: bytes, nulls: int) -> Chunk:
        texts = plain_texts(array.dictionary)
        if texts is None:
            return self._texts(_encoded_anew(array), valid, head, nulls)
        codes = _values(array.indices, np.int32, valid, nulls)
        at = starts(codes)
        told = codes if at is None else frozen(codes[at])
        size = len(array.dictionary)
        body = head + packed(told, at, len(codes), size - 1)
        return self._chunk((size, texts), _RLE_DICTIONARY, body, len(array), nulls)

    def _numbers(
        self, values: NDArray[np.int64], head: bytes, count: int, nulls: int, *, limits: bool
    ) -> Chunk:
        at = starts(values)
        each = values if at is None else frozen(values[at])
        ends = _ends(each) if limits else None
        found = distinct(each)
        if found is None:
            return self._chunk(None, _PLAIN, head + values.tobytes(), count, nulls, ends)
        codes, numbers = found
        body = head + packed(codes, at, len(values), len(numbers) - 1)
        dictionary = len(numbers), numbers.view(np.uint8)
        return self._chunk(dictionary, _RLE_DICTIONARY, body, count, nulls, ends)

    def _chunk(
        self, dictionary: tuple[int, Bytes] | None, encoding: int, body: bytes, count: int,
        nulls: int, limits: tuple[int, int] | None = None,
    ) -> Chunk:  # fmt: skip
        # One codec holds for all pages of a chunk.
        codec, compress = UNCOMPRESSED, _as_it_is
        if len(body) + (0 if dictionary is None else len(dictionary[1])) >= _LEAST:
            codec, compress = ZSTD, self._compressor.compress
        encodings: tuple[int, ...] = (_RLE, encoding)
        before, raw = b"", 0
        if dictionary is not None:
            size, values = dictionary
            short = compress(values)
            header = _DICTIONARY_HEADER.filled(len(values), len(short), size).data
            encodings, before = (_PLAIN, _RLE, encoding), b"".join((header, short))
            raw = len(header) + len(values)
        short = compress(body)
        header = _DATA_HEADER.filled(len(body), len(short), count, encoding).data
        pages = b"".join((before, header, short))
        raw += len(header) + len(body)
        return Chunk(pages, len(before), raw, codec, encodings, count, nulls, limits)


def _encoded_anew(texts: Any) -> Any:
    return texts.cast(pa.string()).dictionary_encode()


def _as_it_is(data: bytes | Bytes) -> bytes:
    return bytes(data)


def _ends(values: NDArray[np.int64]) -> tuple[int, int]:
    return int(values.min()), int(values.max())


def _valid(array: pa.Array) -> Bytes:
    # The validity of each value as bits that begin with a byte; those behind the last are 0.
    return _from_bit(array.buffers()[0], array.offset, len(array))


def _from_bit(buffer: pa.Buffer, offset: int, count: int) -> Bytes:
    bits = np.frombuffer(buffer, np.uint8)[offset // 8 :]
    if offset % 8 or count % 8:
        whole = np.unpackbits(bits, count=offset % 8 + count, bitorder="little")
        return frozen(np.packbits(whole[offset % 8 :], bitorder="little"))
    return frozen(bits[: count // 8])


def _bits(array: pa.Array, valid: Bytes | None) -> bytes:
    bits = _from_bit(array.buffers()[1], array.offset, len(array))
    if valid is not None:
        flags, shown = (
            np.unpackbits(each, count=len(array), bitorder="little") for each in (bits, valid)
        )
        bits = np.packbits(flags[shown.view(np.bool_)], bitorder="little")
    return bits.tobytes()


def _values(array: pa.Array, dtype: Any, valid: Bytes | None, nulls: int) -> NDArray[Any]:
    # Those that are not null, as whole numbers of the same bits.
    values = np.frombuffer(array.buffers()[1], dtype)[array.offset : array.offset + len(array)]
    return kept(frozen(values), valid, nulls) if valid is not None else frozen(values)
