"""JSON text of whole Arrow columns: a string each value, `null` for null."""

import json

import pyarrow as pa
import pyarrow.compute as pc


def json_values(column: pa.Array) -> pa.Array:
    """Return a column's values as JSON text, shape (rows,), without nulls.

    Dictionary-encoded text is quoted once per distinct value; plain strings are taken as JSON.
    """
    if pa.types.is_dictionary(column.type):
        quoted = [json.dumps(text, ensure_ascii=False) for text in column.dictionary.to_pylist()]
        indices = pc.fill_null(column.indices, len(quoted))
        return pa.array([*quoted, "null"], pa.string()).take(indices)
    if pa.types.is_boolean(column.type):
        return pc.fill_null(pc.if_else(column, "true", "false"), "null")
    return pc.fill_null(pc.cast(column, pa.string()), "null")


def json_objects(columns: dict[str, pa.Array]) -> pa.Array:
    """Return one JSON object a row, with the columns' names as keys, in their order."""
    parts: list[pa.Array | str] = []
    for number, (name, column) in enumerate(columns.items()):
        parts += [f'{"," if number else "{"}"{name}":', json_values(column)]
    return joined(*parts, "}")


def joined(*parts: pa.Array | str) -> pa.Array:
    """Return the parts of each row put together, shape (rows,)."""
    return pc.binary_join_element_wise(*parts, "")


def line_bytes(lines: pa.Array) -> bytes:
    """Return the lines (each ending in its newline) as one UTF-8 text."""
    whole = pa.ListArray.from_arrays(pa.array([0, len(lines)], pa.int32()), lines)
    text: str = pc.binary_join(whole, "")[0].as_py()
    return text.encode()
