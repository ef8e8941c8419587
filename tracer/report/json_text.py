"""JSON text of whole Arrow columns: a string each value, `null` for null."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tracer.report import arrays
from tracer.report.arrays import text

# Which bytes of UTF-8 JSON does not have as they are: RFC 8259, section 7.
_ESCAPED = np.zeros(256, np.bool_)
_ESCAPED[: ord(" ")] = True
_ESCAPED[[ord('"'), ord("\\")]] = True


def json_values(column: pa.Array) -> pa.Array:
    """Return a column's values as JSON text, shape (rows,), without nulls.

    Dictionary-encoded text is quoted once per distinct value; plain strings are taken as JSON.
    """
    if pa.types.is_dictionary(column.type):
        words = _quoted(column.dictionary).take(column.indices)
        return pc.fill_null(words, text("null"))
    if pa.types.is_boolean(column.type):
        return pc.fill_null(pc.if_else(column, text("true"), text("false")), text("null"))
    return pc.fill_null(pc.cast(column, pa.string()), text("null"))


def _quoted(words: pa.Array) -> pa.Array:
    # Addresses and most other words hold nothing that is to be escaped.
    data = words.buffers()[2]
    if data is not None and data.size and _ESCAPED[np.frombuffer(data, np.uint8)].any():
        return arrays.texts([json.dumps(word, ensure_ascii=False) for word in words.to_pylist()])
    return joined('"', words, '"')


def json_objects(columns: dict[str, pa.Array]) -> pa.Array:
    """Return one JSON object a row, with the columns' names as keys, in their order."""
    parts: list[pa.Array | str] = [""]
    for number, (name, column) in enumerate(columns.items()):
        parts[-1] += f'{"," if number else "{"}"{name}":'
        if number and column.null_count == len(column):
            parts[-1] += "null"  # a constant is not copied for every row
        else:
            parts += [json_values(column), ""]
    return joined(*parts, "}")


def joined(*parts: pa.Array | str) -> pa.Array:
    """Return the parts of each row put together, shape (rows,)."""
    scalars = [text(part) if isinstance(part, str) else part for part in parts]
    return pc.binary_join_element_wise(*scalars, text(""))


def line_bytes(lines: pa.Array) -> bytes:
    """Return the lines (each ending in its newline) as one UTF-8 text."""
    if len(lines) == 0:
        return b""
    # An array of strings is the strings one after the other, and where each begins.
    _, offsets, text = lines.buffers()
    bounds = np.frombuffer(offsets, np.int32)[lines.offset :]
    whole: bytes = text.slice(bounds[0], bounds[len(lines)] - bounds[0]).to_pybytes()
    return whole
