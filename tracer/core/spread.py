"""Records' fields side by side: all columns of chosen records in one pass, with what is null."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.jit import jit
from tracer.core.rows import Rows
from tracer.core.schema import StructuredArray

_BLOCK = 128  # records that stay in the first cache while their fields are read one after the other


class Layout:
    """Where the integer fields of a record lie, and what each holds for null.

    Records are whole words of eight bytes and no field lies across two: `np.dtype(align=True)`.
    """

    def __init__(self, dtype: np.dtype[Any], null: Callable[[str], int]) -> None:
        self.words = dtype.itemsize // 8
        integers = [name for name in dtype.names or () if dtype[name].kind in "iu"]
        self.unsigned = frozenset(name for name in integers if dtype[name].kind == "u")
        self._places = {name: _place(dtype, name, null(name)) for name in integers}

    def places(self, fields: Iterable[str]) -> NDArray[np.int64]:
        """Return (word, bits up, bits down, null) of each field, shape (fields, 4)."""
        found = [self._places[field] for field in fields]
        return np.array(found, np.int64).reshape(-1, 4)


def _place(dtype: np.dtype[Any], name: str, null: int) -> tuple[int, int, int, int]:
    # The eight bytes of a record a field lies in, by how many bits these are moved up and then down
    # again so that the field alone is left with its sign, and what it then holds for null.
    fields: Mapping[str, Any] = dtype.fields or {}
    field, offset = fields[name][:2]
    bits = 8 * field.itemsize
    signed = null - (1 << 64) if null >> 63 > 0 else null
    return offset // 8, 64 - 8 * (offset % 8) - bits, 64 - bits, signed


@jit
def _spread(words: Any, rows: Rows, places: Any, out: Any, valid: Any, missing: Rows) -> None:
    # The words of a block are put side by side first: what is then done to each field of them is
    # done to several records at once.
    width = words.shape[1]
    block = np.empty((width, _BLOCK), np.int64)
    for begin in range(0, len(rows), _BLOCK):
        end = min(begin + _BLOCK, len(rows))
        for i in range(end - begin):
            row = rows[begin + i]
            for word in range(width):
                block[word, i] = words[row, word]
        for field in range(len(places)):
            word, up, down, null = (
                places[field, 0], places[field, 1], places[field, 2], places[field, 3],
            )  # fmt: skip
            found = 0
            for i in range(end - begin):
                value = (block[word, i] << up) >> down
                out[field, begin + i] = value
                found += value != null
            missing[field] += end - begin - found
            if found == 0:
                continue
            for at in range(begin // 8, (end + 7) // 8):
                byte: Any = 255
                if found < end - begin:
                    byte = 0
                    for i in range(8 * at, min(8 * at + 8, end)):
                        byte |= np.int64(out[field, i] != null) << (i - 8 * at)
                valid[field, at] = byte


class Spread:
    """Some integer fields of the records at some rows; each row is there (-1 is not allowed)."""

    def __init__(
        self, layout: Layout, records: StructuredArray, rows: Rows, fields: Iterable[str]
    ) -> None:
        self._field = {field: place for place, field in enumerate(fields)}
        self._unsigned = layout.unsigned
        count = len(self._field)
        self._values = np.empty((count, len(rows)), np.int64)
        self._valid = np.zeros((count, (len(rows) + 7) // 8), np.uint8)
        self._missing = np.zeros(count, np.int64)
        words = records.view(np.int64).reshape(-1, layout.words)
        rows, places = np.ascontiguousarray(rows, np.int64), layout.places(self._field)
        _spread(words, rows, places, self._values, self._valid, self._missing)

    def of(self, field: str) -> NDArray[Any]:
        """Return a field's values, shape (rows,): int64, or uint64 where it is stored unsigned."""
        values: NDArray[np.int64] = self._values[self._field[field]]
        return values.view(np.uint64) if field in self._unsigned else values

    def missing(self, field: str) -> int:
        """Return how many of a field's values are null."""
        return int(self._missing[self._field[field]])

    def valid(self, field: str) -> NDArray[np.uint8]:
        """Return a bit for each of a field's values, least significant first: 1 where not null."""
        bits: NDArray[np.uint8] = self._valid[self._field[field]]
        return bits
