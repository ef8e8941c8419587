"""Texts of whole columns of addresses and digests, made without a Python object each."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tracer.core.address import V4_PREFIX
from tracer.core.schema import Column
from tracer.core.values import public_value
from tracer.report import arrays

_HEX = np.array([f"{byte:02x}".encode() for byte in range(256)], "S2")
_OCTETS = arrays.texts([str(byte) for byte in range(256)])
_MAC_LENGTH = 17


def column_texts(column: Column, parts: tuple[NDArray[Any], ...]) -> pa.Array:
    """Return stored values of a text column as `public_value` shows them, shape (values,).

    Null values may give any text.
    """
    if column.kind == "digest":
        return _fixed(_HEX[_bytes_of(parts[0])].view(np.uint8).reshape(-1, 16))
    if column.kind == "mac":
        return _macs(parts[0])
    if column.kind == "ip" and ((parts[0] == 0) & (parts[1] >> 32 == V4_PREFIX >> 32)).all():
        octets = _bytes_of(parts[1])[:, 4:]
        return pc.binary_join_element_wise(
            *(_OCTETS.take(arrays.of(o)) for o in octets.T), arrays.text(".")
        )
    values = zip(*(part.tolist() for part in parts), strict=True)
    return arrays.texts([public_value(column, value) for value in values])


def _macs(values: NDArray[Any]) -> pa.Array:
    text = np.full((len(values), _MAC_LENGTH + 1), ord(":"), np.uint8)
    pairs = _HEX[_bytes_of(values)[:, 2:]].view(np.uint8).reshape(-1, 6, 2)
    for k in range(6):
        text[:, 3 * k : 3 * k + 2] = pairs[:, k]
    return _fixed(text[:, :_MAC_LENGTH])


def _bytes_of(values: NDArray[Any]) -> NDArray[np.uint8]:
    # The eight bytes of each value, most significant first, shape (values, 8).
    return values.astype(">u8").view(np.uint8).reshape(-1, 8)


def _fixed(text: NDArray[np.uint8]) -> pa.Array:
    # Strings of one length lie one after the other.
    offsets = np.arange(len(text) + 1, dtype=np.int32) * text.shape[1]
    data = np.ascontiguousarray(text)
    return pa.StringArray.from_buffers(len(text), pa.py_buffer(offsets), pa.py_buffer(data))
