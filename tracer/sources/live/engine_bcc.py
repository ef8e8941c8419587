"""The `bcc` engine: compiles the programs on the host, offsets from the running kernel's BTF."""

import ctypes
import os
import re
import sys
from contextlib import suppress
from typing import Any

import numpy as np

from tracer.core.errors import HostError
from tracer.sources.live import btf, syscalls
from tracer.sources.live.engine import Config
from tracer.sources.live.engine_base import Loaded, LoadedEngine
from tracer.sources.live.event_layout import (
    BLOOM_BITS,
    CPU_SIZE,
    FILTER_DTYPE,
    FLOW_KEY_SIZE,
    FLOW_STATE_SIZE,
    NESTING,
    VIEW_SIZE,
    Hook,
)
from tracer.sources.live.filter import filter_bytes
from tracer.sources.live.linker import link, place_cast, read_functions
from tracer.sources.live.options import map_sizes, scalar_options
from tracer.sources.live.points import POINTS, is_loadable
from tracer.sources.live.source import bpf_folder

_FIELD = re.compile(r"^#define FIELD_(\w+) struct (\w+), ([\w.]+)$", re.MULTILINE)
_DISTRIBUTION = "/usr/lib/python3/dist-packages"
_MODULES = ("nf_conntrack", "openvswitch")
_LRU_HASH, _ARRAY, _PERCPU_ARRAY, _RINGBUF = 9, 2, 6, 27
_MMAPABLE = 1 << 10
_CAST = "bpf_rdonly_cast"
_ATTACH_RAW_TP = 23  # enum bpf_attach_type BPF_TRACE_RAW_TP


class BccEngine(LoadedEngine):
    """Compiles bpf/journey.bpf.c with bcc; `Engine` says what it does."""

    name = "bcc"

    def _load_programs(self, config: Config) -> Loaded:
        maps = _create_maps(config)
        programs: dict[str, int] = {}

        def free() -> None:
            for descriptor in (*programs.values(), *maps.values()):
                os.close(descriptor)

        try:
            for name, instructions in _compile(config, maps).items():
                self._load_one(name, instructions, programs)
        except BaseException:
            free()
            raise
        return Loaded(programs, maps, free)

    def _load_one(self, name: str, instructions: bytes, programs: dict[str, int]) -> None:
        try:
            programs[name] = _load(name, instructions)
        except OSError as error:
            if not name.endswith("_netfilter"):  # older kernels have none: NAT is seen otherwise
                raise HostError(
                    f"The kernel refuses the program {name}: {error.strerror}.",
                    "Run `tracer doctor`.",
                ) from None


def _wanted(config: Config) -> list[str]:
    names = [
        choice.program
        for hook in sorted(config.hooks & POINTS.keys())
        for choices in POINTS[hook]
        for choice in choices
        if is_loadable(choice)
    ]
    return [*names, "before_netfilter", "after_netfilter"] if Hook.NAT in config.hooks else names


def _load(name: str, instructions: bytes) -> int:
    if name.endswith("_netfilter"):
        return syscalls.load_program(
            syscalls.PROG_NETFILTER, instructions, name, syscalls.ATTACH_NETFILTER
        )
    choice = next(c for point in POINTS.values() for cs in point for c in cs if c.program == name)
    if choice.kind == "tp_btf":
        target = btf.kernel().typedef_id(f"btf_trace_{choice.target}")
        return syscalls.load_program(
            syscalls.PROG_TRACING, instructions, name, _ATTACH_RAW_TP, target
        )
    kind = syscalls.PROG_RAW_TRACEPOINT if choice.kind == "raw_tp" else syscalls.PROG_KPROBE
    return syscalls.load_program(kind, instructions, name)


def _create_maps(config: Config) -> dict[str, int]:
    sizes = map_sizes(config)
    shapes = {
        "events": (_RINGBUF, 0, 0, sizes["events"], 0),
        "followed": (_LRU_HASH, FLOW_KEY_SIZE, FLOW_STATE_SIZE, sizes["followed"], 0),
        "followed_bits": (_ARRAY, 4, (1 << BLOOM_BITS) // 8, 1, _MMAPABLE),
        "tracked": (_ARRAY, 4, 8, sizes["tracked"], 0),
        "per_cpu": (_PERCPU_ARRAY, 4, CPU_SIZE, 1, 0),
        "views": (_PERCPU_ARRAY, 4, VIEW_SIZE, NESTING, 0),
    }
    return {name: syscalls.create_map(*shape, name) for name, shape in shapes.items()}


def _import_bcc() -> Any:
    # bcc is a distribution's package: other interpreters find it behind their own packages.
    with suppress(ImportError):
        import bcc

        return bcc
    sys.path.append(_DISTRIBUTION)
    try:
        import bcc
    except ImportError:
        raise HostError("bcc is not installed.", "Run `apt install python3-bpfcc`.") from None
    finally:
        sys.path.remove(_DISTRIBUTION)
    return bcc


def _compile(config: Config, maps: dict[str, int]) -> dict[str, bytes]:
    # Returns the linked instructions of the programs that were compiled for this kernel, by name.
    bcc = _import_bcc()
    folder = bpf_folder()
    os.environ.setdefault("BCC_KERNEL_SOURCE", str(folder / "bcc"))
    flags = [
        *("-DTRACER_BCC", f"-I{folder}", "-Wno-unused-function", "-Wno-macro-redefined"),
        *_offset_flags((folder / "kernel.h").read_text()),
        *_option_flags(config),
        *(f"-DFD_{name}={descriptor}" for name, descriptor in maps.items()),
    ]
    try:
        compiled = bcc.BPF(text=(folder / "journey.bpf.c").read_bytes(), cflags=flags)
    except Exception as error:
        raise HostError(
            f"bcc cannot compile the programs: {error}.", "Run `tracer doctor`."
        ) from None
    start = ctypes.cast(bcc.lib.bpf_function_start(compiled.module, b"slow"), ctypes.c_void_p).value
    # dump_func would print and raise for what was not compiled for this kernel.
    found = {
        name: bytes(compiled.dump_func(name.encode()))
        for name in _wanted(config)
        if bcc.lib.bpf_function_start(compiled.module, name.encode())
    }
    functions = read_functions(start, found.values()) if start else {}
    linked = {name: link(code, functions) for name, code in found.items()}
    if not btf.has_text(_CAST):
        return linked
    cast = btf.kernel().function_id(_CAST)
    return {name: place_cast(code, cast) for name, code in linked.items()}


def _offset_flags(fields: str) -> list[str]:
    types = btf.kernel()
    flags = [f"-DTYPE_words={types.find('pt_regs')}"]
    flags += ["-DWITH_BTF=1", f"-DWITH_KPROBES={int(syscalls.has_kprobes())}"]
    for name, struct_name, path in _FIELD.findall(fields):
        try:
            member = btf.member_anywhere(struct_name, path, _MODULES)
            offset, bit, there = member.offset, member.bit, 1
        except KeyError:
            offset = bit = there = 0
        flags += [f"-DOFF_{name}={offset}", f"-DBIT_{name}={bit}", f"-DHAS_{name}={there}"]
    try:
        types.enum_values("skb_drop_reason")
    except KeyError:
        return [*flags, "-DHAS_DROP_REASON=0"]
    return [*flags, "-DHAS_DROP_REASON=1"]


def _option_flags(config: Config) -> list[str]:
    flags = [f"-D{name}={value}ULL" for name, (value, _) in scalar_options(config).items()]
    record = np.frombuffer(filter_bytes(config.filter), FILTER_DTYPE)[0]
    values = []
    for name in FILTER_DTYPE.names or ():
        numbers = np.atleast_1d(record[name]).tolist()
        suffix = "ULL" if FILTER_DTYPE[name].base.itemsize == 8 else ""
        text = ",".join(f"{number}{suffix}" for number in numbers)
        values.append(f".{name}={{{text}}}" if len(numbers) > 1 else f".{name}={text}")
    return [*flags, f"-DUSER_FILTER={{{','.join(values)}}}"]
