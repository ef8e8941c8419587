"""Structured records moved as wholes: numpy copies them field by field, in twenty times the time.

`records.take(rows)` and `records.compress(mask)` of numpy move wholes, too; indexing does not.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tracer.core.schema import StructuredArray

_LINE = 64  # bytes of the processor's cache line


def empty(count: int, dtype: np.dtype[Any]) -> StructuredArray:
    """Return `count` records, not initialised, that begin with a cache line."""
    size = count * dtype.itemsize
    memory = np.empty(size + _LINE, np.uint8)
    start = -memory.ctypes.data % _LINE
    records: StructuredArray = memory[start : start + size].view(dtype)
    return records


def copy_into(target: StructuredArray, records: StructuredArray) -> None:
    """Copy records into as many of the same type."""
    _plain(target)[:] = _plain(records)


def joined(parts: Sequence[StructuredArray], dtype: np.dtype[Any]) -> StructuredArray:
    """Return the records of all parts (each of `dtype`) one after the other, a copy."""
    if not parts:
        return np.empty(0, dtype)
    whole: StructuredArray = np.concatenate([_plain(part) for part in parts])
    return whole.view(dtype)


def copied(records: StructuredArray) -> StructuredArray:
    """Return a copy of records."""
    copy: StructuredArray = _plain(records).copy().view(records.dtype)
    return copy


def _plain(records: StructuredArray) -> StructuredArray:
    return records.view(f"V{records.dtype.itemsize}")
