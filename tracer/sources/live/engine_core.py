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
from tracer.sources.live.points import POINTS, is_loadable
from tracer.sources.live.source import bpf_folder

_NETFILTER = (syscalls.PROG_NETFILTER, syscalls.ATTACH_NETFILTER)
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
            except PermissionError:
                obj.close()
                raise
            except OSError as error:
                obj.close()
                causes.append(str(error.strerror))
        raise HostError(f"The kernel refuses the BPF object: {causes[-1]}.", "Run `tracer doctor`.")


def _selections(config: Config) -> list[dict[str, tuple[int, int] | None]]:
    # What to try, best first: typed tracepoints and netfilter programs, then without either.
    netfilter = {"before_netfilter": _NETFILTER, "after_netfilter": _NETFILTER}
    typed, raw = ({**_programs(config, kind)} for kind in (0, -1))
    found: list[dict[str, tuple[int, int] | None]] = [typed, raw]
    if Hook.NAT in config.hooks and syscalls.kernel_version() >= (6, 4):
        found = [{**typed, **netfilter}, {**raw, **netfilter}, *found]
    return found


def _programs(config: Config, alternative: int) -> dict[str, tuple[int, int] | None]:
    return {
        choice.program: None
        for hook in config.hooks & POINTS.keys()
        for choice in POINTS[hook][alternative]
        if is_loadable(choice)
    }


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
