"""NFLOG messages as kernels make them: families, hooks, byte orders, copies that are cut.

Those of bridges and of hooks at a device were made from nfnetlink_log.c; tests/kernel/test_nflog.py
has real ones. tshark is asked about all of them, and says what the attributes are.
"""

import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
from decoding import decoded, value
from packets import write_pcap
from scapy.layers.inet import ICMP, IP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6
from scapy.layers.l2 import ARP, Ether

from tracer.core.enums import Decode
from tracer.sources.decode.nflog import HOOKS

NFLOG = 239
IPV4, ARP_FAMILY, NETDEV, BRIDGE, IPV6 = 2, 3, 5, 7, 10
A, B = "fa:16:3e:a4:58:8d", "fa:16:3e:ff:d5:8b"
LINK = bytes(Ether(src=A, dst=B, type=0x0800))
PING = bytes(IP(src="10.0.0.1", dst="10.0.0.2", id=77, ttl=63) / ICMP(id=7, seq=9) / bytes(56))
PING6 = bytes(IPv6(src="fd00::1", dst="fd00::2", hlim=62) / ICMPv6EchoRequest(id=7, seq=9))
ASKED = bytes(ARP(op=1, hwsrc=A, psrc="10.0.0.1", pdst="10.0.0.2"))
STAMP = 1_795_877_894_948_599_000


def attribute(kind: int, data: bytes, order: str = "<") -> bytes:
    return struct.pack(order + "HH", len(data) + 4, kind) + data + bytes(-len(data) % 4)


def message(
    family: int, protocol: int, hook: int, *more: tuple[int, bytes], order: str = "<"
) -> bytes:
    made = struct.pack(">BBH", family, 0, 5)
    made += attribute(1, struct.pack(">HBx", protocol, hook), order)
    return made + b"".join(attribute(kind, data, order) for kind, data in more)


def number(value: int) -> bytes:
    return struct.pack(">I", value)


def stamped(time_ns: int = STAMP) -> tuple[int, bytes]:
    return 3, struct.pack(">QQ", time_ns // 10**9, time_ns % 10**9 // 1000)


def asked(path: Path, packets: list[bytes], *fields: str) -> list[list[str]]:
    """Return fields as tshark reads them, a row each."""
    write_pcap(path, NFLOG, packets)
    command = ["tshark", "-n", "-r", str(path), "-T", "fields", "-E", "separator=/t"]
    command += [word for name in fields for word in ("-e", name)]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [line.split("\t") for line in text.splitlines()]


BRIDGED = message(
    BRIDGE, 0x0800, 2, (10, b"fwd \0"), (4, number(9)), (6, number(3)), (5, number(9)),
    (7, number(4)), (8, struct.pack(">HH6sxx", 6, 0, LINK[6:12])), (15, b"\0\1"), (17, b"\0\x0e"),
    (16, LINK), stamped(), (20 | 0x8000, attribute(1, b"\x81\0") + attribute(2, b"\x60\x05")),
    (21, LINK), (9, PING),
)  # fmt: skip


def test_a_bridge_logs_the_port_the_frame_and_its_tag(tmp_path: Path) -> None:
    ours = decoded([BRIDGED], NFLOG)
    names = ("src_mac", "dst_mac", "vlan", "src", "dst", "ttl", "icmp_seq", "ethertype")
    assert [value(ours, 0, name) for name in names] == [
        *(A, B, 5, "10.0.0.1", "10.0.0.2", 63, 9, 0x0800)
    ]
    assert ours.packets["time_ns"].tolist() == [STAMP]
    assert ours.origins.tolist() == [(0, 4, 1, HOOKS.index("forward"), 0)]
    ports = asked(tmp_path / "b.pcap", [BRIDGED], "nflog.ifindex_physoutdev", "nflog.hook")
    assert ports == [["4", "2"]]


@pytest.mark.parametrize(
    ("family", "number_", "hook", "direction"),
    [
        *((IPV4, n, HOOKS[n], int(n >= 2)) for n in range(5)),
        (IPV4, 5, "ingress", 0),
        (NETDEV, 0, "ingress", 0),
        (ARP_FAMILY, 0, "input", 0),
        (ARP_FAMILY, 1, "output", 1),
        (ARP_FAMILY, 2, "forward", 1),
        (BRIDGE, 0, "prerouting", 0),
        (BRIDGE, 5, "brouting", 0),
    ],
)
def test_hooks_are_those_of_their_family(
    family: int, number_: int, hook: str, direction: int
) -> None:
    packet, protocol = (ASKED, 0x0806) if family == ARP_FAMILY else (PING, 0x0800)
    made = message(
        family, protocol, number_, (4, number(2)), (5, number(3)), stamped(), (9, packet)
    )
    ours = decoded([made], NFLOG)
    assert ours.packets["decode"].tolist() == [Decode.COMPLETE]
    late = ours.origins["late"].tolist()
    assert ours.origins.tolist() == [(0, 2 + direction, direction, HOOKS.index(hook), *late)]


def test_what_leaves_by_a_device_is_logged_with_its_frame() -> None:
    """An Ethernet header comes first there, as nf_hook_egress leaves the packet."""
    frame = message(NETDEV, 0x0800, 1, (5, number(3)), stamped(), (21, LINK), (9, LINK + PING))
    bare = message(NETDEV, 0x0800, 1, (5, number(3)), stamped(), (9, PING))
    ours = decoded([frame, bare], NFLOG)
    assert [value(ours, n, "src") for n in range(2)] == ["10.0.0.1"] * 2
    assert [value(ours, n, "src_mac") for n in range(2)] == [A, None]
    assert ours.origins.tolist() == [(0, 3, 1, HOOKS.index("egress"), 0)]


def test_a_routed_packet_on_its_way_out_has_no_link_header_yet() -> None:
    made = message(IPV4, 0x0800, 4, (4, number(2)), (5, number(3)), (16, LINK), (9, PING))
    ours = decoded([made], NFLOG, times=[STAMP])
    assert (value(ours, 0, "src_mac"), value(ours, 0, "dst_mac")) == (None, None)
    assert ours.origins["late"].tolist() == [2]


@pytest.mark.parametrize("order", ["<", ">"])
def test_attributes_are_in_the_byte_order_of_the_host(order: str) -> None:
    nested = attribute(1, b"\x81\0", order) + attribute(2, b"\0\7", order)
    made = message(
        IPV6, 0x86DD, 1, (4, number(2)), (20 | 0x8000, nested), stamped(), (9, PING6), order=order
    )
    ours = decoded([made], NFLOG)
    assert [value(ours, 0, name) for name in ("src", "ttl", "icmp_seq", "vlan")] == [
        *("fd00::1", 62, 9, 7)
    ]
    assert ours.packets["time_ns"].tolist() == [STAMP]


def test_a_copy_that_was_cut_is_truncated_not_malformed() -> None:
    """`tcpdump -s` has the kernel copy less, and the message is whole all the same."""
    cut = [message(IPV4, 0x0800, 0, stamped(), (9, PING[:size])) for size in (0, 3, 19, 24, 30, 60)]
    ours = decoded(cut, NFLOG)
    assert ours.undecoded == {"truncated": 4}
    assert ours.packets["decode"][-2:].tolist() == [Decode.COMPLETE] * 2
    assert value(ours, 5, "payload_len") == 56


def test_every_cut_and_every_length_is_read_within_the_message() -> None:
    """A cut message never raises, and shows no address that tshark would not."""
    whole = [BRIDGED[:size] for size in range(len(BRIDGED))]
    ours = decoded(whole, NFLOG)
    start = BRIDGED.index(PING)
    shown = np.array([value(ours, n, "dst") is not None for n in range(len(whole))])
    assert shown.tolist() == [size >= start + 20 for size in range(len(whole))]
    odd = [BRIDGED[:4] + struct.pack("<HH", length, 1) + BRIDGED[8:] for length in range(64)]
    assert len(decoded(odd, NFLOG).packets) == 64


@pytest.mark.parametrize("seconds", [0, 1 << 33, (1 << 64) - 1])
def test_a_stamp_that_no_clock_shows_is_none(seconds: int) -> None:
    made = message(IPV4, 0x0800, 0, (3, struct.pack(">QQ", seconds, 0)), (9, PING))
    ours = decoded([made], NFLOG, times=[STAMP])
    assert ours.packets["time_ns"].tolist() == [STAMP]
    assert ours.origins["late"].tolist() == [1]
