"""Frames of events against scapy: the packet that was copied, with its tag back in its place."""

from typing import Any

import numpy as np
import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import CookedLinux, Dot1Q, Ether
from scapy.layers.vxlan import VXLAN

from tracer.sources.live.engine_base import event_dtype
from tracer.sources.live.event_layout import Flag, Hook
from tracer.sources.live.frames import COOKED, ETHERNET, event_frames

SNAP = 128
MACS = {"src": "02:00:00:00:00:01", "dst": "02:00:00:00:00:02"}
PACKET = IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=1, dport=2) / b"1234"


def event(raw: bytes, flags: Flag, **fields: Any) -> np.ndarray[Any, Any]:
    made = np.zeros(1, event_dtype(SNAP))
    made["flags"], made["snap_len"], made["wire_len"] = int(flags), len(raw), len(raw)
    made["ethertype"] = 0x0800
    made["snap"] = np.frombuffer(raw.ljust(SNAP, b"\xee"), f"V{SNAP}")
    for name, value in fields.items():
        made[name] = value
    return made


def frame(made: np.ndarray[Any, Any]) -> tuple[int, bytes, int]:
    found = event_frames(made)
    (length,) = np.diff(found.offsets)
    assert length == len(found.data)
    return int(found.linktypes[0]), found.data.tobytes(), int(found.wire_len[0])


@pytest.mark.parametrize(
    ("sent", "copied", "flags", "fields"),
    [
        (Ether(**MACS) / PACKET, Ether(**MACS) / PACKET, Flag.ETH, {}),
        (
            Ether(**MACS) / Dot1Q(vlan=20) / PACKET,
            Ether(**MACS, type=0x0800) / PACKET,
            Flag.ETH | Flag.VLAN,
            {"vlan": 20},
        ),
        (
            Ether(**MACS) / Dot1Q(vlan=20) / PACKET,
            Ether(**MACS) / Dot1Q(vlan=20) / PACKET,
            Flag.ETH | Flag.VLAN,
            {"vlan": 20},
        ),
        (
            Ether(**MACS) / Dot1Q(vlan=20) / Dot1Q(vlan=300) / PACKET,
            Ether(**MACS) / Dot1Q(vlan=300) / PACKET,
            Flag.ETH | Flag.VLAN | Flag.VLAN_INNER,
            {"vlan": 20, "vlan_inner": 300},
        ),
        (
            Ether(**MACS) / Dot1Q(vlan=9) / IP() / UDP(dport=4789) / VXLAN() / Ether() / PACKET,
            Ether(**MACS, type=0x0800) / IP() / UDP(dport=4789) / VXLAN() / Ether() / PACKET,
            Flag.TUNNEL | Flag.ETH | Flag.OUTER_ETH | Flag.OUTER_VLAN,
            {"outer_vlan": 9},
        ),
    ],
)
def test_the_frame_is_the_one_on_the_wire(
    sent: Any, copied: Any, flags: Flag, fields: dict[str, int]
) -> None:
    raw = bytes(sent)
    assert frame(event(bytes(copied), flags, **fields)) == (ETHERNET, raw, len(raw))


@pytest.mark.parametrize(("hook", "kind"), [(Hook.XMIT, 4), (Hook.NAT, 0)])
def test_without_a_link_header_there_is_a_cooked_one(hook: Hook, kind: int) -> None:
    linktype, raw, wire_len = frame(event(bytes(PACKET), Flag.IP, hook=int(hook)))
    assert (linktype, wire_len) == (COOKED, len(PACKET) + 16)
    cooked = CookedLinux(raw)
    assert (cooked.pkttype, cooked.lladdrlen, cooked.proto) == (kind, 0, 0x0800)
    assert bytes(cooked[IP]) == bytes(PACKET)


def test_without_bytes_there_is_no_frame() -> None:
    assert frame(event(b"", Flag.IP)) == (-1, b"", 0)
    assert len(event_frames(np.zeros(0, event_dtype(SNAP))).linktypes) == 0
