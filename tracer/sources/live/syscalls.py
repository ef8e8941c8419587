"""The system calls of live tracing, by ctypes: bpf(2), perf_event_open(2), setns(2).

Everything they return is a file descriptor, so the kernel undoes it when the process ends, however
it ends. Failures raise OSError with the kernel's errno.
"""

import ctypes
import os
import platform
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fcntl import ioctl
from pathlib import Path

_NUMBERS = {"x86_64": (321, 298), "aarch64": (280, 241)}  # bpf, perf_event_open
_MAP_CREATE, _MAP_LOOKUP, _MAP_UPDATE, _PROG_LOAD = 0, 1, 2, 5
_OBJECT_INFO, _RAW_TRACEPOINT_OPEN, _MAP_FREEZE, _LINK_CREATE, _ENABLE_STATS = 15, 17, 22, 28, 32
_ATTR_SIZE = 128
_INFO_SIZE, _INFO_TIMES, _INFO_SKIPPED = 224, 192, 208
_CLONE_NEWNET = 0x40000000
_IOC_ENABLE, _IOC_SET_BPF = 0x2400, 0x40042408
_KPROBE_PMU = Path("/sys/bus/event_source/devices/kprobe")

ATTACH_NETFILTER = 45  # enum bpf_attach_type BPF_NETFILTER
PROG_KPROBE, PROG_RAW_TRACEPOINT, PROG_TRACING, PROG_NETFILTER = 2, 17, 26, 32

_libc = ctypes.CDLL(None, use_errno=True)


def _call(number: int, *arguments: int | ctypes.Array[ctypes.c_char] | None) -> int:
    words = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result: int = _libc.syscall(ctypes.c_long(number), *words)
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result


def _bpf(command: int, packed: bytes) -> int:
    # The attribute is copied out and back: some commands write their answer into it.
    attribute = ctypes.create_string_buffer(packed, _ATTR_SIZE)
    return _call(_NUMBERS[platform.machine()][0], command, attribute, _ATTR_SIZE)


def _address(buffer: ctypes.Array[ctypes.c_char]) -> int:
    return ctypes.addressof(buffer)


def create_map(
    kind: int, key_size: int, value_size: int, entries: int, flags: int, name: str
) -> int:
    """Return the descriptor of a new map; `kind` is an enum bpf_map_type."""
    text = name.encode()[:15].ljust(16, b"\0")
    head = struct.pack("<IIIIIII", kind, key_size, value_size, entries, flags, 0, 0)
    return _bpf(_MAP_CREATE, head + text)


def map_lookup(fd: int, key: bytes, value_size: int) -> bytes | None:
    """Return a map's value for a key, `value_size` bytes (per-CPU maps: all CPUs'), or None."""
    keys = ctypes.create_string_buffer(key, len(key))
    value = ctypes.create_string_buffer(value_size)
    try:
        _bpf(_MAP_LOOKUP, struct.pack("<IIQQQ", fd, 0, _address(keys), _address(value), 0))
    except FileNotFoundError:
        return None
    return value.raw


def map_update(fd: int, key: bytes, value: bytes) -> None:
    """Set a map's value for a key."""
    keys = ctypes.create_string_buffer(key, len(key))
    values = ctypes.create_string_buffer(value, len(value))
    _bpf(_MAP_UPDATE, struct.pack("<IIQQQ", fd, 0, _address(keys), _address(values), 0))


def freeze_map(fd: int) -> None:
    """Make a map's values constant for ever: the verifier then knows them."""
    _bpf(_MAP_FREEZE, struct.pack("<I", fd))


def open_raw_tracepoint(program: int, name: str | None) -> int:
    """Return the link of a program at a raw tracepoint; `name` None for a tp_btf program."""
    text = ctypes.create_string_buffer((name or "").encode() + b"\0")
    packed = struct.pack("<QIIQ", _address(text) if name else 0, program, 0, 0)
    return _bpf(_RAW_TRACEPOINT_OPEN, packed)


def link_netfilter(program: int, family: int, hook: int, priority: int) -> int:
    """Return the link of a netfilter program in this thread's network namespace.

    `family` is NFPROTO_IPV4 (2) or NFPROTO_IPV6 (10), `hook` an enum nf_inet_hooks.
    """
    packed = struct.pack("<IIIIIIiI", program, 0, ATTACH_NETFILTER, 0, family, hook, priority, 0)
    return _bpf(_LINK_CREATE, packed)


def enable_statistics() -> int:
    """Return a descriptor that keeps the kernel's BPF run-time statistics on while it is open."""
    return _bpf(_ENABLE_STATS, struct.pack("<I", 0))


def program_times(fd: int) -> tuple[int, int]:
    """Return (calls, ns spent in them) of a program, counted while statistics are enabled."""
    spent, calls = struct.unpack_from("<QQ", _program_info(fd), _INFO_TIMES)
    return calls, spent


def program_skips(fd: int) -> int:
    """Return how many calls of a program the kernel left out: it was running on that CPU already.

    Linux counts them since 5.12.
    """
    (skipped,) = struct.unpack_from("<Q", _program_info(fd), _INFO_SKIPPED)
    return int(skipped)


def _program_info(fd: int) -> ctypes.Array[ctypes.c_char]:
    info = ctypes.create_string_buffer(_INFO_SIZE)  # struct bpf_prog_info
    _bpf(_OBJECT_INFO, struct.pack("<IIQ", fd, _INFO_SIZE, _address(info)))
    return info


def load_program(
    kind: int, instructions: bytes, name: str, attach_type: int = 0, attach_btf_id: int = 0
) -> int:
    """Return the descriptor of a loaded program; raises OSError with the verifier's last words."""
    code = ctypes.create_string_buffer(instructions, len(instructions))
    licence = ctypes.create_string_buffer(b"Dual BSD/GPL\0")

    def attribute(log_level: int, log: int, size: int) -> bytes:
        head = struct.pack(
            "<IIQQIIQII",
            *(kind, len(instructions) // 8, _address(code), _address(licence)),
            *(log_level, size, log, 0, 0),
        )
        names = name.encode()[:15].ljust(16, b"\0")
        return (
            head
            + names
            + struct.pack("<IIIIQIIQII", 0, attach_type, 0, 0, 0, 0, 0, 0, 0, attach_btf_id)
        )

    try:
        return _bpf(_PROG_LOAD, attribute(0, 0, 0))
    except OSError as error:
        log = ctypes.create_string_buffer(1 << 20)
        with suppress(OSError):
            return _bpf(_PROG_LOAD, attribute(1, _address(log), len(log)))
        lines = log.value.decode(errors="replace").strip().splitlines()
        tail = " | ".join(line for line in lines[-4:] if not line.startswith("processed"))
        raise OSError(
            error.errno, f"{error.strerror} ({tail})" if tail else error.strerror
        ) from None


def has_kprobes() -> bool:
    """Return whether this kernel lets programs attach to its functions."""
    return (_KPROBE_PMU / "type").exists()


def open_kprobe(program: int, symbol: str, at_return: bool) -> int:
    """Return the perf event that runs a program at a kernel function's entry or return."""
    kind = int((_KPROBE_PMU / "type").read_text())
    bit = int((_KPROBE_PMU / "format" / "retprobe").read_text().split(":")[1])
    text = ctypes.create_string_buffer(symbol.encode() + b"\0")
    attribute = bytearray(_ATTR_SIZE)
    struct.pack_into("<IIQ", attribute, 0, kind, _ATTR_SIZE, 1 << bit if at_return else 0)
    struct.pack_into("<QQ", attribute, 56, _address(text), 0)
    packed = ctypes.create_string_buffer(bytes(attribute), _ATTR_SIZE)
    fd = _call(_NUMBERS[platform.machine()][1], packed, -1, 0, -1, 8)  # 8: close on exec
    try:
        ioctl(fd, _IOC_SET_BPF, program)
        ioctl(fd, _IOC_ENABLE, 0)
    except OSError:
        os.close(fd)
        raise
    return fd


@contextmanager
def network_namespace(path: str | Path) -> Iterator[None]:
    """Be in another network namespace inside the block: this thread only.

    Needs CAP_SYS_ADMIN, unless this thread is there already.
    """
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        target = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            is_away = not os.path.sameopenfile(home, target)
            if is_away:
                _setns(target)
        finally:
            os.close(target)
        try:
            yield
        finally:
            if is_away:
                _setns(home)
    finally:
        os.close(home)


def _setns(fd: int) -> None:
    if _libc.setns(fd, _CLONE_NEWNET):
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def knows_processor() -> bool:
    """Return whether the numbers of the system calls are known for this machine's processor."""
    return platform.machine() in _NUMBERS


def kernel_version() -> tuple[int, int]:
    """Return (major, minor) of the running kernel, (0, 0) when its release does not say."""
    parts = platform.release().split("-")[0].split(".")
    if len(parts) < 2 or not (parts[0].isdigit() and parts[1].isdigit()):
        return 0, 0
    return int(parts[0]), int(parts[1])


def possible_cpus() -> int:
    """Return how many CPUs per-CPU maps have values for."""
    text = Path("/sys/devices/system/cpu/possible").read_text()
    return max(int(part) for part in text.replace(",", "-").split("-")) + 1
