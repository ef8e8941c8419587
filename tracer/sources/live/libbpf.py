"""libbpf.so.1 through ctypes: open a BPF object, set it up, load it; no more than that is used."""

import ctypes
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from tracer.core.errors import HostError
from tracer.sources.live.btf import Btf

_POINTER, _TEXT, _INT, _SIZE = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_size_t
_FUNCTIONS: dict[str, tuple[Any, ...]] = {
    "bpf_object__open_file": (_POINTER, _TEXT, _POINTER),
    "bpf_object__load": (_INT, _POINTER),
    "bpf_object__close": (None, _POINTER),
    "bpf_object__next_program": (_POINTER, _POINTER, _POINTER),
    "bpf_object__next_map": (_POINTER, _POINTER, _POINTER),
    "bpf_program__name": (_TEXT, _POINTER),
    "bpf_program__fd": (_INT, _POINTER),
    "bpf_program__set_autoload": (_INT, _POINTER, ctypes.c_bool),
    "bpf_program__set_type": (_INT, _POINTER, _INT),
    "bpf_program__set_expected_attach_type": (_INT, _POINTER, _INT),
    "bpf_map__name": (_TEXT, _POINTER),
    "bpf_map__fd": (_INT, _POINTER),
    "bpf_map__set_max_entries": (_INT, _POINTER, ctypes.c_uint32),
    "bpf_map__initial_value": (_POINTER, _POINTER, ctypes.POINTER(_SIZE)),
    "bpf_object__btf": (_POINTER, _POINTER),
    "btf__raw_data": (_POINTER, _POINTER, ctypes.POINTER(ctypes.c_uint32)),
    "btf__load_vmlinux_btf": (_POINTER,),
    "btf__find_by_name_kind": (ctypes.c_int32, _POINTER, _TEXT, ctypes.c_uint32),
    "btf__free": (None, _POINTER),
    "libbpf_get_error": (ctypes.c_long, _POINTER),
}
_PRINT = ctypes.CFUNCTYPE(_INT, _INT, _TEXT, _POINTER)
_TYPEDEF = 8  # BTF_KIND_TYPEDEF of include/uapi/linux/btf.h
_messages: list[str] = []


@_PRINT
def _collect(level: int, template: bytes, values: int) -> int:
    if level < 2:
        text = ctypes.create_string_buffer(1 << 22)  # a verifier log comes as one message
        ctypes.CDLL(None).vsnprintf(text, len(text), template, ctypes.c_void_p(values))
        _messages.append(text.value.decode(errors="replace").rstrip())
    return 0


@cache
def library() -> ctypes.CDLL:
    """Return libbpf.so.1 with its functions' types set; raises HostError when it is missing."""
    try:
        found = ctypes.CDLL("libbpf.so.1", use_errno=True)
    except OSError:
        raise HostError("libbpf.so.1 is not installed.", "Run `apt install libbpf1`.") from None
    for name, (result, *arguments) in _FUNCTIONS.items():
        function = getattr(found, name)
        function.restype, function.argtypes = result, arguments
    found.libbpf_set_print.argtypes = [_PRINT]
    found.libbpf_set_print.restype = _POINTER
    found.libbpf_set_print(_collect)
    return found


def kernel_typedef(name: str) -> int | None:
    """Return the id of a typedef in the running kernel's BTF, None when it has none of that name.

    Takes 10 ms where `btf.kernel()` takes 200. Raises HostError when libbpf is missing.
    """
    types = library().btf__load_vmlinux_btf()
    if not types or library().libbpf_get_error(types):
        return None
    try:
        found: int = library().btf__find_by_name_kind(types, name.encode(), _TYPEDEF)
    finally:
        library().btf__free(types)
    return found if found > 0 else None


class BpfObject:
    """One BPF object file: set options, programs and map sizes, then load."""

    def __init__(self, path: Path) -> None:
        self._library = library()
        self._object = self._library.bpf_object__open_file(os.fsencode(path), None)
        if not self._object or self._library.libbpf_get_error(self._object):
            self._object = None
            raise HostError(f"{path} is not a BPF object.", "Run `scripts/build-bpf`.")
        self._programs = dict(self._named("program"))
        self._maps = dict(self._named("map"))

    def _named(self, what: str) -> Iterator[tuple[str, int]]:
        step = getattr(self._library, f"bpf_object__next_{what}")
        name = getattr(self._library, f"bpf_{what}__name")
        item = step(self._object, None)
        while item:
            yield name(item).decode(), item
            item = step(self._object, item)

    def _types(self) -> Btf:
        # libbpf's copy, in which it has filled in the offsets that the file leaves to the linker.
        size = ctypes.c_uint32()
        types = self._library.bpf_object__btf(self._object)
        data = self._library.btf__raw_data(types, ctypes.byref(size))
        return Btf(ctypes.string_at(data, size.value))

    def set_options(self, values: dict[str, bytes]) -> None:
        """Write read-only variables before loading; raises KeyError for one that is not there."""
        size = _SIZE()
        section = next(m for name, m in self._maps.items() if name.endswith(".rodata"))
        start = self._library.bpf_map__initial_value(section, ctypes.byref(size))
        variables = self._types().variables(".rodata")
        for name, value in values.items():
            offset, width = variables[name]
            ctypes.memmove(start + offset, value.ljust(width, b"\0"), width)

    def set_map_size(self, name: str, entries: int) -> None:
        """Set how many entries (of a ring: bytes) a map will have."""
        self._library.bpf_map__set_max_entries(self._maps[name], entries)

    def select(self, programs: dict[str, tuple[int, int] | None]) -> None:
        """Load these programs only; a value sets a program's type and expected attach type."""
        for name, program in self._programs.items():
            self._library.bpf_program__set_autoload(program, name in programs)
            kind = programs.get(name)
            if kind:
                self._library.bpf_program__set_type(program, kind[0])
                self._library.bpf_program__set_expected_attach_type(program, kind[1])

    def load(self) -> None:
        """Load the object into the kernel; raises OSError with what the verifier said last."""
        _messages.clear()
        failed = self._library.bpf_object__load(self._object)
        if failed:
            said = [m for m in "\n".join(_messages).splitlines() if "libbpf: failed" not in m]
            raise OSError(-failed, f"{os.strerror(-failed)} ({' | '.join(said[-8:])})")

    def program(self, name: str) -> int:
        """Return a loaded program's descriptor."""
        return int(self._library.bpf_program__fd(self._programs[name]))

    def map(self, name: str) -> int:
        """Return a map's descriptor."""
        return int(self._library.bpf_map__fd(self._maps[name]))

    def close(self) -> None:
        """Free the object and close its descriptors."""
        if self._object:
            self._library.bpf_object__close(self._object)
            self._object = None
