"""A reader of BTF (BPF Type Format, Documentation/bpf/btf.rst): struct layouts and enum values.

The running kernel's BTF gives the `bcc` engine its field offsets and every engine the names of drop
reasons; the BTF of the compiled object gives the layout of the wire struct.
"""

import struct
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

VMLINUX = Path("/sys/kernel/btf/vmlinux")

_INT, _PTR, _ARRAY, _STRUCT, _UNION, _ENUM = 1, 2, 3, 4, 5, 6
_TYPEDEF, _VOLATILE, _CONST, _RESTRICT, _FUNC = 8, 9, 10, 11, 12
_FUNC_PROTO, _VAR, _DATASEC, _DECL_TAG, _TYPE_TAG, _ENUM64 = 13, 14, 15, 17, 18, 19
_TRANSPARENT = {_TYPEDEF, _VOLATILE, _CONST, _RESTRICT, _TYPE_TAG}
_TRAILER = {_INT: 4, _ARRAY: 12, _VAR: 4, _DECL_TAG: 4}
_PER_MEMBER = {_STRUCT: 12, _UNION: 12, _ENUM: 8, _FUNC_PROTO: 8, _DATASEC: 12, _ENUM64: 12}
_HEAD = struct.Struct("<III")


@dataclass(frozen=True, slots=True)
class Member:
    """One scalar, array or struct member: byte offset, size in bytes, and bits when a bit field."""

    name: str
    offset: int
    size: int
    type_id: int
    bit: int = 0
    bits: int = 0


class Btf:
    """The types of one BTF blob; `base` is the kernel's when the blob is a module's."""

    def __init__(self, data: bytes, base: "Btf | None" = None) -> None:
        magic, _, _, header, type_off, type_len, str_off, str_len = struct.unpack_from(
            "<HBBIIIII", data
        )
        if magic != 0xEB9F:
            raise ValueError("not BTF: the magic number is wrong")
        self._data = data
        self._base = base
        self._strings = header + str_off
        self._strings_end = self._strings + str_len
        self._first_string: int = base.next_string if base else 0
        self._first_id: int = base.next_id if base else 1
        self.next_string: int = self._first_string + str_len
        self._offsets = self._scan(header + type_off, header + type_off + type_len)
        self.next_id: int = self._first_id + len(self._offsets)
        self._by_name: dict[int, list[int]] | None = None

    @classmethod
    def of_kernel(cls) -> "Btf":
        """Return the running kernel's types; raises OSError when it has none."""
        return cls(VMLINUX.read_bytes())

    @classmethod
    def of_object(cls, path: Path) -> "Btf":
        """Return the types of a compiled BPF object (its ELF section .BTF); raises KeyError."""
        return cls(elf_section(path.read_bytes(), ".BTF"))

    def _scan(self, position: int, end: int) -> list[int]:
        offsets = []
        unpack = _HEAD.unpack_from
        data = self._data
        while position < end:
            offsets.append(position)
            info = unpack(data, position)[1]
            kind = info >> 24 & 0x1F
            position += 12 + _TRAILER.get(kind, 0) + _PER_MEMBER.get(kind, 0) * (info & 0xFFFF)
        return offsets

    def _at(self, type_id: int) -> tuple["Btf", int, int, int, int]:
        # (owner, position, kind, member count, size or type) of a type.
        if self._base and type_id < self._first_id:
            return self._base._at(type_id)
        position = self._offsets[type_id - self._first_id]
        _, info, size = _HEAD.unpack_from(self._data, position)
        return self, position, info >> 24 & 0x1F, info & 0xFFFF, size

    def _string(self, offset: int) -> str:
        if self._base and offset < self._first_string:
            return self._base._string(offset)
        start = self._strings + offset - self._first_string
        return self._data[start : self._data.index(b"\0", start)].decode()

    def _names(self) -> dict[int, list[int]]:
        if self._by_name is None:
            names: dict[int, list[int]] = {}
            for index, position in enumerate(self._offsets):
                name = _HEAD.unpack_from(self._data, position)[0]
                if name:
                    names.setdefault(name, []).append(self._first_id + index)
            self._by_name = names
        return self._by_name

    def _string_offset(self, text: str) -> list[int]:
        # All string offsets at which this very text stands (BTF deduplicates, but not always).
        needle, found = b"\0" + text.encode() + b"\0", []
        at = self._data.find(needle, self._strings, self._strings_end)
        while at >= 0:
            found.append(at + 1 - self._strings + self._first_string)
            at = self._data.find(needle, at + 1, self._strings_end)
        return found

    def find(self, name: str, kinds: frozenset[int] = frozenset({_STRUCT, _UNION})) -> int:
        """Return the id of a type by name and kind; raises KeyError when there is none."""
        for offset in self._string_offset(name):
            for type_id in self._names().get(offset, ()):
                if self._at(type_id)[2] in kinds:
                    return type_id
        if self._base:
            return self._base.find(name, kinds)
        raise KeyError(name)

    def function_id(self, name: str) -> int:
        """Return the id of a kernel function; raises KeyError."""
        return self.find(name, frozenset({_FUNC}))

    def typedef_id(self, name: str) -> int:
        """Return the id of a typedef (tracepoints are `btf_trace_NAME`); raises KeyError."""
        return self.find(name, frozenset({_TYPEDEF}))

    def parameters(self, tracepoint: str) -> int:
        """Return how many arguments a tracepoint passes; raises KeyError when it is unknown."""
        _, _, _, _, pointer = self._at(self.typedef_id(f"btf_trace_{tracepoint}"))
        prototype = self._strip(self._at(self._strip(pointer))[4])
        return self._at(prototype)[3] - 1  # the first is the tracepoint's private data

    def _strip(self, type_id: int) -> int:
        while True:
            _, _, kind, _, target = self._at(type_id)
            if kind not in _TRANSPARENT:
                return type_id
            type_id = target

    def size(self, type_id: int) -> int:
        """Return the size of a type in bytes."""
        owner, position, kind, _, size = self._at(self._strip(type_id))
        if kind == _PTR:
            return 8
        if kind == _ARRAY:
            element, _, count = _HEAD.unpack_from(owner._data, position + 12)
            return int(count) * self.size(element)
        return size

    def scalar(self, type_id: int) -> str:
        """Return the numpy format of an integer, enum or array of them (`<u4`, `(16,)<u8`)."""
        owner, position, kind, _, size = self._at(self._strip(type_id))
        if kind == _ARRAY:
            element, _, count = _HEAD.unpack_from(owner._data, position + 12)
            return f"({count},){self.scalar(element)}"
        if kind == _STRUCT:
            return f"V{size}"
        if kind not in (_INT, _ENUM):
            raise KeyError(f"type {type_id} is not an integer")
        (encoding,) = struct.unpack_from("<I", owner._data, position + 12)
        return f"<{'i' if kind == _INT and encoding >> 24 & 1 else 'u'}{size}"

    def members(self, type_id: int, start: int = 0) -> list[Member]:
        """Return the members of a struct or union, those of unnamed ones inside it included."""
        owner, position, kind, count, _ = self._at(self._strip(type_id))
        if kind not in (_STRUCT, _UNION):
            raise KeyError(f"type {type_id} is neither struct nor union")
        has_bits = _HEAD.unpack_from(owner._data, position)[1] >> 31
        found: list[Member] = []
        for index in range(count):
            name, member, raw = _HEAD.unpack_from(owner._data, position + 12 + 12 * index)
            bits, bit_offset = (raw >> 24, raw & 0xFFFFFF) if has_bits else (0, raw)
            offset = start + bit_offset // 8
            if name:
                text = owner._string(name)
                found.append(Member(text, offset, self.size(member), member, bit_offset % 8, bits))
            elif self._at(self._strip(member))[2] in (_STRUCT, _UNION):
                found += self.members(member, offset)
        return found

    def member(self, struct_name: str, path: str) -> Member:
        """Return a member by path (`tuplehash[1].tuple.dst.u3`), offset from the struct's start.

        Raises KeyError when the struct or a member does not exist.
        """
        type_id, offset = self.find(struct_name), 0
        found = Member("", 0, 0, type_id)
        for part in path.split("."):
            name, _, index = part.rstrip("]").partition("[")
            by_name = {m.name: m for m in reversed(self.members(type_id))}
            found = by_name[name]
            type_id = self._strip(found.type_id)
            offset += found.offset
            if index:
                owner, position, *_ = self._at(type_id)
                type_id = self._strip(_HEAD.unpack_from(owner._data, position + 12)[0])
                offset += int(index) * self.size(type_id)
        return Member(path, offset, self.size(type_id), type_id, found.bit, found.bits)

    def variables(self, section: str) -> dict[str, tuple[int, int]]:
        """Return offset and size in bytes of each variable of an object's data section."""
        owner, position, _, count, _ = self._at(self.find(section, frozenset({_DATASEC})))
        found = {}
        for index in range(count):
            variable, offset, size = _HEAD.unpack_from(owner._data, position + 12 + 12 * index)
            name = _HEAD.unpack_from(owner._data, self._at(variable)[1])[0]
            found[owner._string(name)] = (offset, size)
        return found

    def enum_values(self, name: str) -> dict[str, int]:
        """Return the names and values of an enum, in order; raises KeyError."""
        type_id = self.find(name, frozenset({_ENUM, _ENUM64}))
        owner, position, kind, count, _ = self._at(type_id)
        step, values = _PER_MEMBER[kind], {}
        for index in range(count):
            text, low = struct.unpack_from("<II", owner._data, position + 12 + step * index)
            values[owner._string(text)] = low
        return values


def elf_section(data: bytes, name: str) -> bytes:
    """Return the bytes of a section of a 64-bit little-endian ELF file; raises KeyError."""
    table, entry, count, names = (
        *struct.unpack_from("<Q", data, 40),
        *struct.unpack_from("<HHH", data, 58),
    )
    headers = [struct.unpack_from("<IIQQQQ", data, table + entry * i) for i in range(count)]
    strings = headers[names][4]
    for header in headers:
        start = strings + header[0]
        if data[start : data.index(b"\0", start)].decode() == name:
            return data[header[4] : header[4] + header[5]]
    raise KeyError(name)


@cache
def has_text(name: str) -> bool:
    """Return whether the running kernel's BTF speaks of a name at all: quick, nothing is parsed."""
    try:
        return b"\0" + name.encode() + b"\0" in VMLINUX.read_bytes()
    except OSError:
        return False


@cache
def known(names: tuple[str, ...]) -> frozenset[str]:
    """Return those of some names that the running kernel's BTF speaks of, in one reading."""
    try:
        text = VMLINUX.read_bytes()
    except OSError:
        return frozenset()
    return frozenset(name for name in names if b"\0" + name.encode() + b"\0" in text)


@cache
def kernel() -> Btf:
    """Return the running kernel's types, parsed once: its BTF, else made from its headers.

    Raises HostError when there is neither.
    """
    if VMLINUX.exists():
        return Btf.of_kernel()
    from tracer.sources.live.headers import types_object

    return Btf(elf_section(types_object(), ".BTF"))


def member_anywhere(struct_name: str, path: str, modules: tuple[str, ...]) -> Member:
    """Return a member of a struct of the kernel, else of the first loaded module that has it.

    Raises KeyError when none has it.
    """
    try:
        return kernel().member(struct_name, path)
    except KeyError:
        for module in modules:
            file = VMLINUX.parent / module
            if file.exists():
                with suppress(KeyError):
                    return _module(file).member(struct_name, path)
        raise


@cache
def _module(file: Path) -> Btf:
    return Btf(file.read_bytes(), kernel())
