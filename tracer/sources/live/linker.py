"""Joins the functions that bcc compiled apart: bcc itself knows no calls between BPF functions.

A call to a static function of another section carries, in the instruction's immediate, where in
that section the function begins, less one; a call inside the section is relative, as the kernel
wants it. Each program gets just the functions that it reaches behind it: the kernel takes no
others.
"""

import ctypes
import struct
from collections.abc import Iterable, Iterator

_SIZE = 8
_CALL, _EXIT, _GOTO, _WIDE, _PSEUDO_CALL, _KERNEL_CALL = 0x85, 0x95, 0x05, 0x18, 1, 2
_CAST = 0x10000  # no helper's number: stands for bpf_rdonly_cast (bpf/engine_bcc.h)
_JUMPS = (5, 6)  # instruction classes BPF_JMP and BPF_JMP32
_READ, _READ_KERNEL = 4, 113  # bpf_probe_read, bpf_probe_read_kernel
_LIMIT = 1 << 16
MAP_BASE = 0x7F000000  # stands for descriptors of maps, by their places, until they are there


def _calls(code: bytes) -> Iterator[tuple[int, int]]:
    # (index, immediate) of every call to a BPF function.
    for offset in range(0, len(code), _SIZE):
        if code[offset] == _CALL and code[offset + 1] >> 4 == _PSEUDO_CALL:
            yield offset // _SIZE, struct.unpack_from("<i", code, offset + 4)[0]


def read_functions(address: int, programs: Iterable[bytes]) -> dict[int, bytes]:
    """Return the functions that programs can call, by index in their section.

    The section is in this process's memory at `address`. bcc does not tell where functions end:
    each ends at the first exit or goto that no jump passes.
    """
    found: dict[int, bytes] = {}
    wanted = [target + 1 for code in programs for _, target in _calls(code)]
    while wanted:
        start = wanted.pop()
        if start not in found:
            size = (_function_end(address, start) - start) * _SIZE
            found[start] = ctypes.string_at(address + start * _SIZE, size)
            wanted += [start + at + 1 + relative for at, relative in _calls(found[start])]
    return found


def _function_end(address: int, start: int) -> int:
    index, furthest = start, start
    while index < start + _LIMIT:
        code, _, jump, _ = struct.unpack("<BBhi", ctypes.string_at(address + index * _SIZE, _SIZE))
        if code & 7 in _JUMPS and code not in (_CALL, _EXIT):
            furthest = max(furthest, index + 1 + jump)
        if code in (_EXIT, _GOTO) and furthest <= index:
            return index + 1
        index += 2 if code == _WIDE else 1
    raise ValueError("a BPF function has no end")


def link(program: bytes, functions: dict[int, bytes]) -> bytes:
    """Return a program with the functions it reaches behind it, its calls pointing at them."""
    code, placed = bytearray(program), dict[int, int]()
    # (index of the call in `code`, function it is for)
    pending = [(index, target + 1) for index, target in _calls(program)]
    while pending:
        call, start = pending.pop()
        if start not in placed:
            placed[start] = len(code) // _SIZE
            body = functions[start]
            pending += [
                (placed[start] + at, start + at + 1 + relative) for at, relative in _calls(body)
            ]
            code += body
        struct.pack_into("<i", code, call * _SIZE + 4, placed[start] - call - 1)
    return bytes(code)


def place_cast(code: bytes, function: int) -> bytes:
    """Return code that calls a kernel function, by BTF id, wherever it calls bpf_rdonly_cast."""
    placed = bytearray(code)
    stand_in = struct.pack("<BBhi", _CALL, 0, 0, _CAST)
    for offset in range(0, len(code), _SIZE):
        if code[offset : offset + _SIZE] == stand_in:
            struct.pack_into("<BBhi", placed, offset, _CALL, _KERNEL_CALL << 4, 0, function)
    return bytes(placed)


def place_reads(code: bytes) -> bytes:
    """Return code that calls bpf_probe_read_kernel wherever it calls bpf_probe_read.

    bcc puts the latter in place of the former, which netfilter programs may not call, where it does
    not find it among the kernel's addresses: they may be hidden. Linux has had it since 5.5.
    """
    placed = bytearray(code)
    stand_in = struct.pack("<BBhi", _CALL, 0, 0, _READ)
    for offset in range(0, len(code), _SIZE):
        if code[offset : offset + _SIZE] == stand_in:
            struct.pack_into("<BBhi", placed, offset, _CALL, 0, 0, _READ_KERNEL)
    return bytes(placed)


def place_maps(code: bytes, descriptors: list[int]) -> bytes:
    """Return code that refers to maps by descriptor where it has MAP_BASE and their place."""
    placed = bytearray(code)
    offset = 0
    while offset < len(code):
        wide = code[offset] == _WIDE
        if wide and code[offset + 1] >> 4:
            (number,) = struct.unpack_from("<I", code, offset + 4)
            struct.pack_into("<I", placed, offset + 4, descriptors[number - MAP_BASE])
        offset += _SIZE * (2 if wide else 1)
    return bytes(placed)
