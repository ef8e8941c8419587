"""The 802.1Q tag of the provider network on the hosts' NICs.

Three ways, the first that the kernel offers: an 8021q sub-interface, the tc action `vlan`, a tc
eBPF program. Bridge VLAN filtering is none of them: a kernel without 8021q has no filtering either
(CONFIG_BRIDGE_VLAN_FILTERING depends on it). With tc, tcpdump shows the tag at the NIC in both
directions: it sees frames after tc egress has pushed it and before tc ingress pops it. With a
sub-interface (tried on Linux 6.1) the filter `icmp` matches nothing there: capture without one.
"""

import contextlib
import ctypes
import os
import platform
import struct

from tracer.core.errors import LabError
from tracer.lab.commands import run

VLAN_ID = 20
NIC = "enp175s0f1"
WIRE = (("compute03", NIC), ("network01", NIC), ("l3switch", "te1"), ("l3switch", "te2"))
"""Both ends of both provider cables: (netns, device)."""

_BRIDGE = {"compute03": "br-ex", "network01": "br-ex", "l3switch": "vlan20"}


def tag() -> str:
    """Return how the wire was tagged: `8021q`, `tc-vlan`, `tc-bpf` or `untagged`."""
    for way, attempt in WAYS.items():
        try:
            attempt()
        except (LabError, OSError):
            _untag()
            continue
        return way
    _plain()
    return "untagged"


def _untag() -> None:
    # Takes back what a way that failed half way has done; most of it is not there to take back.
    for netns, device in WIRE:
        for argv in (
            ["ip", "-n", netns, "link", "delete", f"{device}.{VLAN_ID}"],
            ["tc", "-n", netns, "qdisc", "delete", "dev", device, "clsact"],
        ):
            with contextlib.suppress(LabError):
                run(argv)


def _plain() -> None:
    for netns, device in WIRE:
        run(["ip", "-n", netns, "link", "set", device, "master", _BRIDGE[netns], "up"])


def _tag_8021q() -> None:
    for netns, device in WIRE:
        upper = f"{device}.{VLAN_ID}"
        sub = ["link", "add", "link", device, "name", upper, "type", "vlan", "id", str(VLAN_ID)]
        run(["ip", "-n", netns, *sub])
        run(["ip", "-n", netns, "link", "set", device, "up"])
        run(["ip", "-n", netns, "link", "set", upper, "master", _BRIDGE[netns], "up"])


def _tag_tc() -> None:
    push = f"action vlan push id {VLAN_ID} protocol 802.1Q".split()
    for netns, device in WIRE:
        tc = ["tc", "-n", netns]
        run([*tc, "qdisc", "replace", "dev", device, "clsact"])
        every = ["protocol", "all", "u32", "match", "u32", "0", "0"]
        run([*tc, "filter", "replace", "dev", device, "egress", *every, *push])
        run([*tc, "filter", "replace", "dev", device, "ingress", *every, "action", "vlan", "pop"])
    _plain()


def _tag_bpf() -> None:
    from pyroute2 import IPRoute, netns

    push, pop = _load(_PUSH), _load(_POP)
    try:
        for name, device in WIRE:
            netns.pushns(name)
            try:
                with IPRoute() as ipr:
                    _attach(ipr, ipr.link_lookup(ifname=device)[0], push, pop)
            finally:
                netns.popns()
    except Exception as error:  # pyroute2 raises NetlinkError, which is no OSError
        message = f"No tc program could be attached: {error}"
        raise LabError(message, "Run: tracer doctor") from error
    finally:
        os.close(push)
        os.close(pop)
    _plain()


def _attach(ipr: object, index: int, push: int, pop: int) -> None:
    call = ipr.tc  # type: ignore[attr-defined]  # pyroute2 has no types
    call("replace", "clsact", index)
    for parent, fd, name in ((0xFFFFFFF3, push, "push"), (0xFFFFFFF2, pop, "pop")):
        call(
            "add-filter",
            "bpf",
            index,
            handle=1,
            protocol=0x0003,  # ETH_P_ALL
            fd=fd,
            name=f"vlan-{name}",
            parent=parent,
            direct_action=True,
        )


# Instructions of struct bpf_insn (include/uapi/linux/bpf.h): code, registers, offset, immediate.
_MOV, _CALL, _EXIT = 0xB7, 0x85, 0x95
_VLAN_PUSH, _VLAN_POP = 18, 19  # bpf_skb_vlan_push(skb, proto, tci), bpf_skb_vlan_pop(skb)


def _insn(code: int, register: int = 0, immediate: int = 0) -> bytes:
    return struct.pack("<BBhi", code, register, 0, immediate)


_DONE = _insn(_MOV, 0, 0) + _insn(_EXIT)  # TC_ACT_OK
_PROTOCOL = struct.unpack("=H", b"\x81\x00")[0]  # the helper takes network byte order
_PUSH = _insn(_MOV, 2, _PROTOCOL) + _insn(_MOV, 3, VLAN_ID) + _insn(_CALL, 0, _VLAN_PUSH) + _DONE
_POP = _insn(_CALL, 0, _VLAN_POP) + _DONE

_BPF_SYSCALL = {"x86_64": 321, "aarch64": 280, "riscv64": 280, "s390x": 351, "ppc64le": 361}
_PROG_LOAD, _SCHED_CLS = 5, 3


def _load(code: bytes) -> int:
    # Returns the fd of a loaded BPF_PROG_TYPE_SCHED_CLS program; raises OSError.
    number = _BPF_SYSCALL.get(platform.machine())
    if number is None:
        raise OSError(f"no bpf(2) number for {platform.machine()}")
    instructions, licence = ctypes.create_string_buffer(code), ctypes.create_string_buffer(b"GPL")
    head = struct.pack(
        "=IIQQ",
        _SCHED_CLS,
        len(code) // 8,
        ctypes.addressof(instructions),
        ctypes.addressof(licence),
    )
    attr = ctypes.create_string_buffer(head, 128)
    libc = ctypes.CDLL(None, use_errno=True)
    fd: int = libc.syscall(number, _PROG_LOAD, ctypes.byref(attr), 128)
    if fd < 0:
        raise OSError(ctypes.get_errno(), "bpf(BPF_PROG_LOAD) failed")
    return fd


WAYS = {"8021q": _tag_8021q, "tc-vlan": _tag_tc, "tc-bpf": _tag_bpf}
"""The ways to tag, in the order in which they are tried."""
