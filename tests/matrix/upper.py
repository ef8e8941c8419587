"""Devices that have packets from another one, in a guest: far ── low ── up, once for each kind.

far 10.8.K.1 ─fK────lK─ low ═ uK, in up: 10.8.K.2   macvlan, ipvlan (l2, l3, l3s): uK lies on lK
                              bond3, in low         bond: lK is its port
                              hK──uK, in up         peer: programs give packets to uK, and to lK
"""

import ctypes
import struct
import subprocess
from pathlib import Path

from tests.matrix.net import inside, run
from tracer.sources.live import syscalls

NAMESPACES = ("far", "low", "up")
#: Kind, the namespace and device that has the packets, and where requests and replies are seen.
KINDS = {
    1: ("macvlan", "up", "u1"),
    2: ("ipvlan mode l2", "up", "u2"),
    3: ("bond", "low", "bond3"),
    4: ("ipvlan mode l3", "up", "u4"),
    5: ("ipvlan mode l3s", "up", "u5"),
    6: ("peer", "up", "u6"),
}
DEVICES = tuple((netns, device) for _, netns, device in KINDS.values())
SENT = 2
_PINNED = Path("/run/programs")
_PROG_SCHED_CLS, _OBJ_PIN = 3, 6
_REDIRECT, _REDIRECT_PEER = 23, 155  # enum bpf_func_id


def icmp_id(kind: int) -> int:
    """Return the id of a kind's pings."""
    return 8000 + kind


def build() -> None:
    """Build everything; loads the modules that it needs."""
    run("modprobe -a macvlan ipvlan bonding team")
    for name in NAMESPACES:
        run(f"ip netns add {name} && ip -n {name} link set lo up")
    for number, (kind, netns, device) in KINDS.items():
        run(f"ip -n far link add f{number} type veth peer name l{number} netns low")
        run(f"ip -n far addr add 10.8.{number}.1/24 dev f{number}")
        run(f"ip -n far link set f{number} up")
        _put_on(number, kind, device)
        run(f"ip -n {netns} addr add 10.8.{number}.2/24 dev {device}")
        run(f"ip -n {netns} link set {device} up")


def _put_on(number: int, kind: str, device: str) -> None:
    port = f"l{number}"
    if kind == "bond":
        run(f"ip -n low link add {device} type bond mode active-backup")
        run(f"ip -n low link set {port} master {device}")
        return
    run(f"ip -n low link set {port} up")
    if kind == "peer":
        run(f"ip -n low link add h{number} type veth peer name {device} netns up")
        run(f"ip -n low link set h{number} up")
        _redirect(port, f"h{number}", _REDIRECT_PEER)
        _redirect(f"h{number}", port, _REDIRECT)
        return
    run(f"ip -n low link add {device} link {port} type {kind}")
    run(f"ip -n low link set {device} netns up")
    if kind.endswith(("l3", "l3s")):  # no ARP
        mac = run(f"{inside('low')}cat /sys/class/net/{port}/address").strip()
        run(f"ip -n far neigh add 10.8.{number}.2 lladdr {mac} dev f{number}")


def _redirect(device: str, target: str, helper: int) -> None:
    # A program that returns helper(index of target, 0), where packets come in by a device.
    index = int(run(f"{inside('low')}cat /sys/class/net/{target}/ifindex"))
    code = ((0xB7, 1, 0, index), (0xB7, 2, 0, 0), (0x85, 0, 0, helper), (0x95, 0, 0, 0))
    program = syscalls.load_program(
        _PROG_SCHED_CLS, b"".join(struct.pack("<BBhi", *each) for each in code), "redirect"
    )
    if not _PINNED.exists():
        _PINNED.mkdir()
        run(f"mount -t bpf bpf {_PINNED}")
    path = ctypes.create_string_buffer(bytes(_PINNED / device))
    syscalls._bpf(_OBJ_PIN, struct.pack("<QII", ctypes.addressof(path), program, 0))
    run(f"tc -n low qdisc add dev {device} clsact")
    run(f"tc -n low filter add dev {device} ingress bpf da object-pinned {_PINNED / device}")


def traffic() -> None:
    """Ping each device from far."""
    for number in KINDS:
        command = f"{inside('far')}ping -c{SENT} -i0.2 -W5 -e {icmp_id(number)} 10.8.{number}.2"
        subprocess.run(command, shell=True, stdout=subprocess.DEVNULL, check=False)
