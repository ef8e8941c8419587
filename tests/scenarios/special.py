"""Packets that are not plain requests and answers: errors, ARP, fragments."""

import numpy as np

from scenarios.frames import Frames, blank, join, measure
from scenarios.traffic import ICMP, ICMP6, ip_header, number_ids, times
from scenarios.world import World
from tracer.core.address import encode_ip
from tracer.core.schema import StructuredArray

_QUOTED = ("src_hi", "src_lo", "dst_hi", "dst_lo", "ip_id", "tcp_seq", "sport", "dport",
           "icmp_id", "icmp_seq", "proto", "ttl")  # fmt: skip
BROADCAST = 0xFFFFFFFFFFFF


def errors(world: World, arrived: Frames, src: str, kind: int = 3, code: int = 3) -> Frames:
    """Return ICMP errors (type `kind`) that `src` sends about packets that arrived there."""
    about = arrived.packets
    out = world.new(len(arrived))
    p, v6 = out.packets, ":" in src
    ip_header(out, src, src, ICMP6 if v6 else ICMP)
    p["dst_hi"], p["dst_lo"] = about["src_hi"], about["src_lo"]
    p["icmp_type"], p["icmp_code"] = kind, code
    if not v6:
        p["tos"], p["df"] = 0xC0, 0
    # Linux quotes as much as fits into 576 bytes (RFC 1812, 4.3.2.3), over IPv6 1280 (RFC 4443).
    p["payload_len"] = np.minimum(about["ip_len"], 1232 if v6 else 548)
    out.meta["flow"] = arrived.meta["flow"]
    out.meta["true_ns"] = arrived.meta["true_ns"] + world.rng.integers(5_000, 20_000, len(out))
    quoted = out.section("quoted")
    for name in _QUOTED:
        quoted[f"inner_{name}"] = about[name]
    quoted["row"] = 0
    # What is quoted behind the headers, of 8 bytes for echo and UDP, are the packet's own bytes.
    out.meta["stream"], out.meta["offset"] = arrived.meta["stream"], arrived.meta["offset"]
    room = p["payload_len"] - np.where(about["ip_version"] == 6, 48, 28)
    out.meta["quoted"] = np.clip(room, 0, about["payload_len"])
    number_ids(world, out)
    world.relate("quotes", out.meta["packet"], arrived.meta["packet"])
    measure(out)
    return out


def arp_requests(
    world: World, mac: int, sender: str, target: str, count: int, gap_ns: int
) -> Frames:
    """Return who-has broadcasts."""
    frames = world.new(count)
    frames.packets["ethertype"] = 0x0806
    frames.packets["src_mac"], frames.packets["dst_mac"] = mac, BROADCAST
    frames.meta["flow"] = world.flow()[0]
    frames.meta["true_ns"] = times(world, count, gap_ns)
    arp = frames.section("arp")
    _arp(arp, 1, mac, sender, 0, target)
    return frames


def arp_replies(world: World, arrived: Frames, mac: int) -> Frames:
    """Return the answers of the station (or proxy) with `mac`."""
    reply = world.renew(arrived)
    ask = arrived.sections["arp"]
    arp = reply.sections["arp"]
    for side, other in (("sender", "target"), ("target", "sender")):
        for half in ("hi", "lo"):
            arp[f"arp_{side}_ip_{half}"] = ask[f"arp_{other}_ip_{half}"]
    arp["arp_target_mac"], arp["arp_sender_mac"], arp["arp_op"] = ask["arp_sender_mac"], mac, 2
    reply.packets["src_mac"], reply.packets["dst_mac"] = mac, ask["arp_sender_mac"]
    reply.meta["true_ns"] += world.rng.integers(10_000, 40_000, len(reply))
    world.relate("reply_of", reply.meta["packet"], arrived.meta["packet"])
    return reply


def _arp(arp: StructuredArray, op: int, mac: int, sender: str, to: int, target: str) -> None:
    arp["arp_sender_mac"], arp["arp_target_mac"], arp["arp_op"], arp["row"] = mac, to, op, 0
    arp["arp_sender_ip_hi"], arp["arp_sender_ip_lo"] = encode_ip(sender)
    arp["arp_target_ip_hi"], arp["arp_target_ip_lo"] = encode_ip(target)


def fragments(world: World, frames: Frames, room: int = 1480) -> Frames:
    """Return datagrams cut into fragments of `room` bytes of IP payload, each a packet."""
    total = frames.packets["payload_len"] + 8
    count = -(-total // room)
    owner = np.repeat(np.arange(len(frames)), count)
    n = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
    out = world.renew(frames.take(owner))
    p, first = out.packets, n == 0
    later = ~first
    p["frag_offset"] = np.where(count[owner] > 1, n * room, p["frag_offset"])
    p["more_fragments"] = np.where(count[owner] > 1, n < count[owner] - 1, p["more_fragments"])
    p["df"] = np.where(p["ip_version"] == 4, 0, -1)
    size = np.minimum(room, total[owner] - n * room)
    p["payload_len"] = np.where(first, size - 8, size)
    out.meta["offset"] = np.where(first, 0, n * room - 8)
    null = blank(1).packets
    for name in ("sport", "dport", "icmp_type", "icmp_code", "icmp_id", "icmp_seq"):
        p[name] = np.where(later, null[name][0], p[name])
    out.meta["true_ns"] += n * 1300
    if (p["ip_version"] == 6).any():
        p["ip_id"] = np.where(count[owner] > 1, out.meta["stream"] & np.uint64(0xFFFFFFFF), -1)
        p["frag_offset"] = np.where(count[owner] > 1, n * room, -1)
    measure(out)
    return out


def together(*parts: Frames) -> Frames:
    """Return frames of several senders as one."""
    return join(parts)
