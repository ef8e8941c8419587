"""The `bcc` engine: compiles the programs on the host, offsets from the running kernel's BTF."""

import os

from tracer.core.errors import HostError
from tracer.sources.live import syscalls
from tracer.sources.live.compiled import Compiled, compiled_programs
from tracer.sources.live.engine import Config
from tracer.sources.live.engine_base import Loaded, LoadedEngine
from tracer.sources.live.event_layout import (
    BLOOM_BITS,
    CPU_SIZE,
    FILTER_SIZE,
    FLOW_KEY_SIZE,
    FLOW_STATE_SIZE,
    NESTING,
    OPTIONS_FIELDS,
    OPTIONS_SIZE,
    VIEW_SIZE,
    Hook,
)
from tracer.sources.live.filter import filter_bytes
from tracer.sources.live.linker import place_maps
from tracer.sources.live.options import map_sizes, scalar_options
from tracer.sources.live.points import PLACES, Choice, choices, is_loadable, netfilter_programs

_LRU_HASH, _ARRAY, _PERCPU_ARRAY, _RINGBUF = 9, 2, 6, 27
_MMAPABLE, _READ_ONLY = 1 << 10, 1 << 7
_ATTACH_TYPES = {"tp_btf": 23, "fexit": 25}  # enum bpf_attach_type BPF_TRACE_RAW_TP, _FEXIT


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
            compiled = compiled_programs(tuple(maps))
            for name in _wanted(config):
                if name in compiled.programs:
                    self._load_one(name, compiled, list(maps.values()), programs)
        except BaseException:
            free()
            raise
        return Loaded(programs, maps, free)

    def _load_one(
        self, name: str, compiled: Compiled, maps: list[int], programs: dict[str, int]
    ) -> None:
        try:
            programs[name] = _load(name, place_maps(compiled.programs[name], maps), compiled)
        except OSError as error:
            if _can_do_without(name):
                return
            if isinstance(error, PermissionError):
                raise
            raise HostError(
                f"The kernel refuses the program {name}: {error.strerror}.",
                "Run `tracer doctor`.",
            ) from None


def _wanted(config: Config) -> list[str]:
    names = dict.fromkeys(
        choice.program
        for place in PLACES
        if place.hook in config.hooks
        for way in place.ways
        for choice in way
        if is_loadable(choice)
    )
    return [*names, *netfilter_programs()] if Hook.NAT in config.hooks else [*names]


def _choice(name: str) -> Choice:
    return next(choice for choice in choices() if choice.program == name)


def _can_do_without(name: str) -> bool:
    # Older kernels have no netfilter programs, and some no fexit: kprobes see the same.
    return name.endswith("_netfilter") or _choice(name).kind == "fexit"


def _load(name: str, instructions: bytes, compiled: Compiled) -> int:
    if name.endswith("_netfilter"):
        return syscalls.load_program(
            syscalls.PROG_NETFILTER, instructions, name, syscalls.ATTACH_NETFILTER
        )
    choice = _choice(name)
    if choice.kind in _ATTACH_TYPES:
        target = compiled.targets[choice.target]
        return syscalls.load_program(
            syscalls.PROG_TRACING, instructions, name, _ATTACH_TYPES[choice.kind], target
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
        "options": (_ARRAY, 4, OPTIONS_SIZE, 1, _READ_ONLY),
    }
    maps = {name: syscalls.create_map(*shape, name) for name, shape in shapes.items()}
    syscalls.map_update(maps["options"], bytes(4), _options(config))
    syscalls.freeze_map(maps["options"])
    return maps


def _options(config: Config) -> bytes:
    # struct options of bpf/options.h.
    values = scalar_options(config)
    raw = bytearray(OPTIONS_SIZE)
    for name, _, offset in OPTIONS_FIELDS:
        value, size = values.get(f"opt_{name}", (0, 0))
        raw[offset : offset + size] = value.to_bytes(size, "little")
    raw[:FILTER_SIZE] = filter_bytes(config.filter)
    return bytes(raw)
