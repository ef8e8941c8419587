"""JSON text of whole Arrow columns: a string each value, `null` for null."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tracer.report import arrays
from tracer.report.arrays import text


def json_values(column: pa.Array) -> pa.Array:
    """Return a column's values as JSON text, shape (rows,), without nulls.

    Dictionary-encoded text is quoted once per distinct value; plain strings are taken as JSON.
    """
    if pa.types.is_dictionary(column.type):
        quoted = [json.dumps(word, ensure_ascii=False) for word in column.dictionary.to_pylist()]
        null = arrays.of(np.array([len(quoted)], np.int32))[0]
        indices = pc.fill_null(column.indices, null)
        return arrays.texts([*quoted, "null"]).take(indices)
    if pa.types.is_boolean(column.type):
        return pc.fill_null(pc.if_else(column, text("true"), text("false")), text("null"))
    return pc.fill_null(pc.cast(column, pa.string()), text("null"))


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
