"""Thrift's compact protocol, as far as the headers and the footer of a Parquet file need it.

https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
"""

from collections.abc import Sequence
from typing import TypeAlias, Union

_SMALL = [bytes([number]) for number in range(0x80)]
_TRUE, _FALSE, _I32, _I64, _BINARY, _LIST, _STRUCT = 1, 2, 5, 6, 8, 9, 12


class I64(int):
    """A number that the format has as 64 bits; others are of 32."""


class Struct:
    """A struct already written: its bytes, with the end."""

    def __init__(self, data: bytes) -> None:
        self.data = data


Value: TypeAlias = Union[bool, int, bytes, Struct, "Sequence[Value]"]


class Hole:
    """A number of a template that is not known yet."""

    def __init__(self, kind: int) -> None:
        self.kind = kind


HOLE, HOLE64 = Hole(_I32), Hole(_I64)  # of 32 bits and of 64


class Template:
    """A struct that is written many times, and of which some numbers differ (`HOLE`, `HOLE64`)."""

    def __init__(self, fields: Sequence[tuple[int, "Value | Hole | Template"]]) -> None:
        self._pieces: list[bytes] = []
        piece = bytearray()
        last = 0
        for number, value in fields:
            piece.append((number - last) << 4 | _type(value))
            last = number
            if isinstance(value, Hole):
                self._pieces.append(bytes(piece))
                piece = bytearray()
            elif isinstance(value, Template):
                first, *others = value._pieces
                self._pieces += [bytes(piece) + first, *others[:-1]]
                piece = bytearray(others[-1])
            elif not isinstance(value, bool):
                piece += _encoded(value)
        self._pieces.append(bytes(piece) + b"\0")

    def filled(self, *numbers: int) -> Struct:
        """Return the struct with its numbers, in their order, none of which is negative."""
        out = self._pieces[0]
        for number, piece in zip(numbers, self._pieces[1:], strict=True):
            out += varint(number << 1) + piece
        return Struct(out)


def varint(number: int) -> bytes:
    """Return a number of 0 and more in groups of seven bits, the lowest first (ULEB128)."""
    if number <= 0x7F:
        return _SMALL[number]
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def struct(fields: Sequence[tuple[int, Value | None]]) -> Struct:
    """Return a struct of (field id, value) in ascending order of ids; None is left out."""
    out = bytearray()
    last = 0
    for number, value in fields:
        if value is None:
            continue
        out.append((number - last) << 4 | _type(value))
        last = number
        if not isinstance(value, bool):
            out += _encoded(value)
    out.append(0)
    return Struct(bytes(out))


def _type(value: "Value | Hole | Template") -> int:
    if isinstance(value, Hole):
        return value.kind
    if isinstance(value, bool):
        return _TRUE if value else _FALSE
    if isinstance(value, int):
        return _I64 if isinstance(value, I64) else _I32
    if isinstance(value, bytes):
        return _BINARY
    return _STRUCT if isinstance(value, (Struct, Template)) else _LIST


def _encoded(value: Value) -> bytes:
    if isinstance(value, int):
        return varint(value << 1 if value >= 0 else (-value << 1) - 1)  # zigzag
    if isinstance(value, bytes):
        return varint(len(value)) + value
    if isinstance(value, Struct):
        return value.data
    kind = _type(value[0]) if value else _STRUCT
    size = len(value)
    head = bytes([size << 4 | kind]) if size < 15 else bytes([0xF0 | kind]) + varint(size)
    return head + b"".join(_encoded(each) for each in value)
