"""The `core` engine: a CO-RE object loaded through libbpf, without a compiler."""

from tracer.core.errors import HostError
from tracer.sources.live import syscalls
from tracer.sources.live.btf import VMLINUX
from tracer.sources.live.engine import Config
from tracer.sources.live.engine_base import Loaded, LoadedEngine
from tracer.sources.live.event_layout import Hook
from tracer.sources.live.filter import filter_bytes
from tracer.sources.live.libbpf import BpfObject
from tracer.sources.live.options import map_sizes, scalar_options
from tracer.sources.live.points import PLACES, UPPER_TYPED, is_loadable, netfilter_programs
from tracer.sources.live.source import bpf_folder

_NETFILTER = (syscalls.PROG_NETFILTER, syscalls.ATTACH_NETFILTER)
_PROBES = ("kprobe", "kretprobe")
_MAPS = ("events", "followed", "followed_bits", "tracked", "per_cpu")


class CoreEngine(LoadedEngine):
    """Loads bpf/journey.bpf.o; `Engine` says what it does."""

    name = "core"

    def _load_programs(self, config: Config) -> Loaded:
        path = bpf_folder() / "journey.bpf.o"
        if not path.exists():
            raise HostError("The compiled BPF object is missing.", "Run `scripts/build-bpf`.")
        if not VMLINUX.exists():
            raise HostError(
                f"This kernel has no BTF ({VMLINUX}), which the engine core needs.",
                "Use `--engine bcc`: it can read the kernel's headers.",
            )
        causes = []
        for programs in _selections(config):
            obj = BpfObject(path)
            try:
                return _load(obj, config, programs)
            except PermissionError as error:
                obj.close()
                # Some kernels let programs look at tracepoints, and not at functions.
                if not UPPER_TYPED & programs.keys():
                    raise
                causes.append(str(error.strerror))
            except OSError as error:
                obj.close()
                causes.append(str(error.strerror))
        raise HostError(f"The kernel refuses the BPF object: {causes[-1]}.", "Run `tracer doctor`.")


def _selections(config: Config) -> list[dict[str, tuple[int, int] | None]]:
    # What to try, best first: less and less of what not every kernel has.
    kinds = ({"tp_btf", "fexit", *_PROBES}, {"tp_btf", *_PROBES}, {"raw_tp", *_PROBES})
    found = [_programs(config, allowed) for allowed in kinds]
    if Hook.NAT in config.hooks and syscalls.kernel_version() >= (6, 4):
        netfilter = dict.fromkeys(netfilter_programs(), _NETFILTER)
        found = [*({**programs, **netfilter} for programs in found), *found]
    return found


def _programs(config: Config, kinds: set[str]) -> dict[str, tuple[int, int] | None]:
    ways = (
        way
        for place in PLACES
        if place.hook in config.hooks
        for way in [way for way in place.ways if way[0].kind in kinds] or place.ways[-1:]
    )
    return {choice.program: None for way in ways for choice in way if is_loadable(choice)}


def _load(obj: BpfObject, config: Config, programs: dict[str, tuple[int, int] | None]) -> Loaded:
    options = {
        name: value.to_bytes(size, "little")
        for name, (value, size) in scalar_options(config).items()
    }
    obj.set_options({**options, "user_filter": filter_bytes(config.filter)})
    for name, entries in map_sizes(config).items():
        obj.set_map_size(name, entries)
    obj.select(programs)
    obj.load()
    return Loaded(
        programs={name: obj.program(name) for name in programs},
        maps={name: obj.map(name) for name in _MAPS},
        free=obj.close,
    )
