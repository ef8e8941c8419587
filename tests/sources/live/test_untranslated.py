"""What a packet was before NAT, from the event of its rewrite; its bytes against scapy."""

from typing import Any

import numpy as np
import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6, IPv6ExtHdrDestOpt
from scapy.packet import Packet

from tracer.core.address import decode_ip, encode_ip
from tracer.sources.live.engine_base import event_dtype
from tracer.sources.live.event_layout import EVENT_DTYPE, Aux, Flag, Hook, NatHook
from tracer.sources.live.untranslated import BEFORE, with_untranslated

SNAP = 96
V4, V4_AFTER = {"src": "10.0.0.1", "dst": "10.96.0.1"}, {"src": "10.0.0.9", "dst": "10.0.0.2"}
V6, V6_AFTER = {"src": "fd00::1", "dst": "fd00:96::1"}, {"src": "fd00::9", "dst": "fd00::2"}
ECHO = Flag.IP | Flag.L4 | Flag.ECHO
PORTS = Flag.IP | Flag.L4


def rewrite(before: Packet, after: Packet, flags: Flag, dtype: Any = EVENT_DTYPE) -> Any:
    """The event of a packet that its own host sends, and that NAT made another."""
    made = np.zeros(1, dtype)
    made["time_ns"], made["before_ns"] = 70, 50
    made["hook"], made["aux"], made["nat_hook"] = Hook.NAT, Aux.NAT, NatHook.OUTPUT
    made["flags"], made["skb"], made["mark"] = int(flags), 0xA, 0x4000
    made["proto"] = after.nh if isinstance(after, IPv6) else after.proto
    for prefix, packet in (("before_", before), ("", after)):
        for end in ("src", "dst"):
            made[f"{prefix}{end}_hi"], made[f"{prefix}{end}_lo"] = encode_ip(getattr(packet, end))
        inner = packet.payload
        if flags & Flag.ECHO:
            made[f"{prefix}icmp_id"] = inner.id
        else:
            made[f"{prefix}sport"], made[f"{prefix}dport"] = inner.sport, inner.dport
    return made


def test_it_is_an_event_of_its_own_at_the_time_before() -> None:
    before, after = IP(**V4) / TCP(sport=1, dport=80), IP(**V4_AFTER) / TCP(sport=2, dport=8080)
    told = rewrite(before, after, PORTS)
    seen, was = with_untranslated(told)
    assert seen == told[0]
    assert (was["time_ns"], was["skb"], was["nat_hook"]) == (50, 0xA, NatHook.OUTPUT + BEFORE)
    assert decode_ip(int(was["src_hi"]), int(was["src_lo"])) == "10.0.0.1"
    assert decode_ip(int(was["dst_hi"]), int(was["dst_lo"])) == "10.96.0.1"
    assert (was["sport"], was["dport"]) == (1, 80)


def test_what_was_seen_before_its_rewrite_is_not_told_twice() -> None:
    told = rewrite(IP(**V4) / UDP(sport=1, dport=2), IP(**V4_AFTER) / UDP(sport=3, dport=4), PORTS)
    told["before_ns"] = 0
    assert len(with_untranslated(told)) == 1
    told["before_ns"], told["hook"], told["aux"] = 9, Hook.RECEIVE, Aux.QUOTED  # other facts there
    assert len(with_untranslated(told)) == 1


@pytest.mark.parametrize(
    ("before", "after", "flags"),
    [
        (IP(**V4, id=7) / TCP(sport=1, dport=80, seq=5) / b"payload",
         IP(**V4_AFTER, id=7) / TCP(sport=2, dport=8080, seq=5) / b"payload", PORTS),
        (IP(**V4, options=b"\x01\x01\x01\x00") / UDP(sport=1, dport=53) / b"x",
         IP(**V4_AFTER, options=b"\x01\x01\x01\x00") / UDP(sport=2, dport=5353) / b"x", PORTS),
        (IP(**V4) / ICMP(id=22344, seq=3) / (b"x" * 20),
         IP(**V4_AFTER) / ICMP(id=36215, seq=3) / (b"x" * 20), ECHO),
        (IPv6(**V6) / TCP(sport=1, dport=80), IPv6(**V6_AFTER) / TCP(sport=1, dport=8080), PORTS),
        (IPv6(**V6) / ICMPv6EchoRequest(id=5, seq=1),
         IPv6(**V6_AFTER) / ICMPv6EchoRequest(id=6, seq=1), ECHO),
    ],
)  # fmt: skip
def test_the_bytes_are_those_before(before: Packet, after: Packet, flags: Flag) -> None:
    """But for the sum over ports and payload, which stays as NAT left it."""
    raw = bytes(after)
    told = rewrite(before, after, flags, event_dtype(SNAP))
    told["snap"], told["snap_len"] = np.frombuffer(raw.ljust(SNAP, b"\xee"), f"V{SNAP}"), len(raw)
    seen, was = with_untranslated(told)
    assert bytes(seen["snap"])[: len(raw)] == raw
    assert was["snap_len"] == len(raw)
    found, wanted = (type(before)(data) for data in (bytes(was["snap"])[: len(raw)], bytes(before)))
    for packet in (found, wanted):
        field = "cksum" if isinstance(packet.payload, ICMPv6EchoRequest) else "chksum"
        setattr(packet.payload, field, 0)
    assert bytes(found) == bytes(wanted)


def test_bytes_that_are_laid_out_otherwise_are_left_out() -> None:
    before = IPv6(**V6) / UDP(sport=1, dport=2)
    raw = bytes(IPv6(**V6_AFTER) / IPv6ExtHdrDestOpt() / UDP(sport=1, dport=4))
    told = rewrite(before, IPv6(**V6_AFTER) / UDP(sport=1, dport=4), PORTS, event_dtype(SNAP))
    told["snap"], told["snap_len"] = np.frombuffer(raw.ljust(SNAP, b"\xee"), f"V{SNAP}"), len(raw)
    assert with_untranslated(told)["snap_len"].tolist() == [len(raw), 0]
