"""What live tracing needs of a host, one check a fact, with the command that mends it."""

import ctypes
import os
import platform
import resource
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from tracer.core.errors import HostError
from tracer.sources.live import btf, libbpf, syscalls
from tracer.sources.live.source import bpf_folder

OK, MISSING, UNKNOWN = "ok", "missing", "unknown"
_CAP_NET_ADMIN, _CAP_SYS_ADMIN, _CAP_PERFMON, _CAP_BPF = 12, 21, 38, 39
_EXIT = bytes.fromhex("b7000000000000009500000000000000")  # r0 = 0; exit
_ACCEPT = bytes.fromhex("b7000000010000009500000000000000")  # r0 = 1 (NF_ACCEPT); exit
_RINGBUF = 27
_DISTRIBUTION = Path("/usr/lib/python3/dist-packages/bcc")


@dataclass(frozen=True, slots=True)
class Check:
    """One fact about this host: `status` is ok, missing or unknown; `fix` a command or None.

    `needed` lists the engines (`core`, `bcc`) that cannot work without it.
    """

    name: str
    status: str
    detail: str
    fix: str | None = None
    needed: tuple[str, ...] = ()


def checks() -> list[Check]:
    """Return every check of live tracing, in the order in which one depends on another."""
    return list(_run())


def _run() -> Iterator[Check]:
    for check in _CHECKS:
        yield check()


def _check(
    name: str, holds: bool, detail: str, fix: str | None, needed: tuple[str, ...] = ()
) -> Check:
    return Check(name, OK if holds else MISSING, detail, None if holds else fix, needed)


def _privileges() -> Check:
    bits = 0
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            bits = int(line.split()[1], 16)
    wanted = {"net_admin": _CAP_NET_ADMIN, "sys_admin": _CAP_SYS_ADMIN}
    if not bits >> _CAP_SYS_ADMIN & 1:
        wanted |= {"bpf": _CAP_BPF, "perfmon": _CAP_PERFMON}
    absent = [name for name, bit in wanted.items() if not bits >> bit & 1]
    detail = f"uid {os.geteuid()}" + (f", without {', '.join(absent)}" if absent else "")
    holds = os.geteuid() == 0 and not absent
    return _check("privileges", holds, detail, "sudo tracer follow …", ("core", "bcc"))


def _kernel() -> Check:
    release = platform.release()
    return _check(
        "kernel",
        syscalls.kernel_version() >= (5, 8),
        release,
        "boot a kernel of 5.8 or later",
        ("core", "bcc"),
    )


def _processor() -> Check:
    machine = platform.machine()
    fix = "take captures instead, with tcpdump -w FILE, for tracer offline"
    return _check("processor", syscalls.knows_processor(), machine, fix, ("core", "bcc"))


def _kernel_types() -> Check:
    holds = btf.VMLINUX.exists()
    detail = str(btf.VMLINUX) if holds else "the kernel was built without CONFIG_DEBUG_INFO_BTF"
    fix = f"apt install clang llvm linux-headers-{platform.release()} (engine bcc reads those)"
    return _check("btf", holds, detail, fix, ("core",))


def _libbpf() -> Check:
    try:
        ctypes.CDLL("libbpf.so.1")
    except OSError:
        return _check("libbpf", False, "libbpf.so.1 is not found", "apt install libbpf1", ("core",))
    return Check("libbpf", OK, "libbpf.so.1", None, ("core",))


def _object() -> Check:
    path = bpf_folder() / "journey.bpf.o"
    return _check("bpf object", path.exists(), str(path), "scripts/build-bpf", ("core",))


def _bcc() -> Check:
    holds = find_spec("bcc") is not None or _DISTRIBUTION.exists()
    detail = "python3-bpfcc" if holds else "the Python package bcc is not found"
    return _check("bcc", holds, detail, "apt install python3-bpfcc", ("bcc",))


def _lockdown() -> Check:
    path = Path("/sys/kernel/security/lockdown")
    if not path.exists():
        detail = f"{path} is not there (securityfs not mounted)"
        fix = "mount -t securityfs securityfs /sys/kernel/security"
        return Check("lockdown", UNKNOWN, detail, fix)
    mode = path.read_text().split("[")[1].split("]")[0]
    return _check("lockdown", mode != "confidentiality", mode, "boot with lockdown=integrity")


def _attempt(
    name: str, fix: str | None, needed: tuple[str, ...], attempt: Callable[[], str]
) -> Check:
    # Does the very thing that is asked about, and undoes it.
    if os.geteuid() != 0:
        return Check(name, UNKNOWN, "needs root to find out", "sudo tracer doctor", needed)
    try:
        return Check(name, OK, attempt(), None, needed)
    except (OSError, KeyError) as error:
        why = error.strerror if isinstance(error, OSError) else f"no {error}"
        return Check(name, MISSING, str(why), fix, needed)


def _ring_buffer() -> Check:
    def attempt() -> str:
        os.close(syscalls.create_map(_RINGBUF, 0, 0, 4096, 0, "probe"))
        return "BPF ring buffers can be made"

    fix = "boot a kernel of 5.8 or later, with CONFIG_BPF_SYSCALL"
    return _attempt("ring buffer", fix, ("core", "bcc"), attempt)


def _raw_tracepoints() -> Check:
    def attempt() -> str:
        program = syscalls.load_program(syscalls.PROG_RAW_TRACEPOINT, _EXIT, "probe")
        try:
            os.close(syscalls.open_raw_tracepoint(program, "netif_receive_skb"))
        finally:
            os.close(program)
        return "programs attach to netif_receive_skb"

    fix = "boot a kernel with CONFIG_BPF_EVENTS and CONFIG_TRACEPOINTS"
    return _attempt("raw tracepoints", fix, ("core", "bcc"), attempt)


def _typed_tracepoints() -> Check:
    def attempt() -> str:
        target = _typedef("btf_trace_netif_receive_skb")
        program = syscalls.load_program(syscalls.PROG_TRACING, _EXIT, "probe", 23, target)
        try:
            os.close(syscalls.open_raw_tracepoint(program, None))
        finally:
            os.close(program)
        return "typed programs attach: cheaper for packets that do not match"

    return _attempt("typed tracepoints", "boot a kernel with CONFIG_DEBUG_INFO_BTF", (), attempt)


def _typedef(name: str) -> int:
    try:
        found = libbpf.kernel_typedef(name)
    except HostError:  # no libbpf
        found = None
    return btf.kernel().typedef_id(name) if found is None else found


def _netfilter_links() -> Check:
    def attempt() -> str:
        program = syscalls.load_program(
            syscalls.PROG_NETFILTER, _ACCEPT, "probe", syscalls.ATTACH_NETFILTER
        )
        try:
            os.close(syscalls.link_netfilter(program, 2, 0, -120))
        finally:
            os.close(program)
        return "NAT is seen at its hooks"

    return _attempt("netfilter links", "use a kernel of 6.4 or later", (), attempt)


def _kprobes() -> Check:
    return _check(
        "kprobes",
        syscalls.has_kprobes(),
        "OVS, devices on others (VLAN, macvlan, bond) and nf_nat_manip_pkt can be watched"
        if syscalls.has_kprobes()
        else "the kernel offers none: OVS, and devices on others, may show only at their ports",
        "use a kernel with CONFIG_KPROBES",
    )


def _conntrack() -> Check:
    holds = Path("/proc/sys/net/netfilter/nf_conntrack_max").exists()
    detail = "loaded" if holds else "not loaded: no translation has happened on this host yet"
    return _check("conntrack", holds, detail, "modprobe nf_conntrack nf_nat")


def _memory_lock() -> Check:
    soft, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if syscalls.kernel_version() >= (5, 11):
        return Check("locked memory", OK, "not limited for BPF since 5.11")
    holds = soft == resource.RLIM_INFINITY
    return _check("locked memory", holds, f"{soft} bytes", "ulimit -l unlimited", ("core", "bcc"))


_CHECKS: tuple[Callable[[], Check], ...] = (
    _kernel,
    _processor,
    _privileges,
    _lockdown,
    _kernel_types,
    _libbpf,
    _object,
    _bcc,
    _ring_buffer,
    _raw_tracepoints,
    _typed_tracepoints,
    _netfilter_links,
    _kprobes,
    _conntrack,
    _memory_lock,
)
