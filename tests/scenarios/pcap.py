"""Scenarios as real pcap files: bytes built so that a decoder finds the same columns."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from scenarios.captures import DIGEST_BYTES
from scenarios.frames import mix
from scenarios.scenario import Scenario
from tracer.core.batch import ObservationBatch
from tracer.core.enums import Encap
from tracer.core.point import Direction

MAGIC_NS, ETHERNET, COOKED = 0xA1B23C4D, 1, 113
_M = 0xFFFF


def write_pcaps(scenario: Scenario, folder: Path) -> list[Path]:
    """Write one nanosecond pcap file a capture and return their paths, in capture order."""
    folder.mkdir(parents=True, exist_ok=True)
    batch = scenario.batch
    frames = list(frame_bytes(scenario))
    paths = []
    for number, name in enumerate(batch.captures):
        rows = np.flatnonzero(batch.packets["capture"] == number)
        cooked = len(rows) > 0 and _is_cooked(scenario, int(rows[0]))
        parts = [
            struct.pack("<IHHiIII", MAGIC_NS, 2, 4, 0, 0, 262144, COOKED if cooked else ETHERNET)
        ]
        for row in rows.tolist():
            p = batch.packets[row]
            seconds, nano = divmod(int(p["time_ns"]), 1_000_000_000)
            body = frames[row][: p["cap_len"]]
            parts += [struct.pack("<IIII", seconds, nano, len(body), int(p["wire_len"])), body]
        paths.append(folder / name)
        paths[-1].write_bytes(b"".join(parts))
    return paths


def frame_bytes(scenario: Scenario) -> Iterator[bytes]:
    """Yield every row's whole frame."""
    batch = scenario.batch
    sections = {
        name: {int(r["row"]): r for r in section} for name, section in batch.sections.items()
    }
    for row in range(len(batch)):
        p, m = batch.packets[row], scenario.meta[row]
        found = {name: records.get(row) for name, records in sections.items()}
        whole = _frame(p, m, found)
        yield _cooked(p, found["tunnel"], whole, batch) if _is_cooked(scenario, row) else whole


def _is_cooked(scenario: Scenario, row: int) -> bool:
    # Captures on `any` say whether packets go in or out, others of the generator do not.
    point = scenario.batch.points[scenario.batch.packets["point"][row]]
    return point.direction is not Direction.UNKNOWN


def _cooked(p: Any, tunnel: Any, frame: bytes, batch: ObservationBatch) -> bytes:
    # Linux SLL in place of the Ethernet header (2 MACs, EtherType).
    out = batch.points[p["point"]].direction is Direction.EGRESS
    mac = p["src_mac"] if tunnel is None else tunnel["outer_src_mac"]
    return struct.pack("!HHH", 4 * out, 1, 6) + _mac(mac) + b"\0\0" + frame[12:]


def stream_bytes(stream: int, offset: int, size: int) -> bytes:
    """Return `size` bytes of a stream from `offset` on; byte p depends on (stream, p) alone."""
    first, skip = divmod(offset, 8)
    blocks = np.arange(first, first + (skip + size + 7) // 8 + 1, dtype=np.uint64)
    return mix(np.uint64(stream) ^ mix(blocks)).tobytes()[skip : skip + size]


def checksum(data: bytes) -> int:
    """Return the Internet checksum (RFC 1071)."""
    total = int(np.frombuffer(data + b"\0" * (len(data) % 2), ">u2").sum(dtype=np.uint64))
    while total > _M:
        total = (total & _M) + (total >> 16)
    return ~total & _M


def _mac(value: Any) -> bytes:
    return int(value).to_bytes(8, "big")[2:]


def _address(r: Any, name: str) -> bytes:
    hi, lo = int(r[f"{name}_hi"]), int(r[f"{name}_lo"])
    if hi == 0 and lo >> 32 == _M:
        return struct.pack("!I", lo & 0xFFFFFFFF)
    return struct.pack("!QQ", hi, lo)


def _frame(p: Any, m: Any, found: dict[str, Any]) -> bytes:
    body = _arp(found["arp"]) if p["ip_version"] < 0 else _ip(p, m, found["quoted"])
    kind = int(p["ethertype"])
    tag = struct.pack("!HH", 0x8100, int(p["vlan"])) if p["vlan"] >= 0 else b""
    inner = _mac(p["dst_mac"]) + _mac(p["src_mac"]) + tag + struct.pack("!H", kind) + body
    return inner if found["tunnel"] is None else _outer(found["tunnel"], inner)


def _arp(r: Any) -> bytes:
    return (
        struct.pack("!HHBBH", 1, 0x0800, 6, 4, int(r["arp_op"]))
        + _mac(r["arp_sender_mac"]) + _address(r, "arp_sender_ip")
        + _mac(r["arp_target_mac"]) + _address(r, "arp_target_ip")
    )  # fmt: skip


def _ipv4_header(src: bytes, dst: bytes, proto: int, ttl: int, ip_id: int, length: int,
                 tos: int = 0, fragment: int = 0) -> bytes:  # fmt: skip
    head = struct.pack("!BBHHHBBH4s4s", 0x45, tos, length, ip_id, fragment, ttl, proto, 0, src, dst)
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:]


def _ip(p: Any, m: Any, quoted: Any) -> bytes:
    src, dst = _address(p, "src"), _address(p, "dst")
    payload = _payload(p, m, quoted)
    proto = int(p["proto"])
    data = payload if p["frag_offset"] > 0 else _transport(p, m, payload, src, dst)
    if p["ip_version"] == 6:
        if p["frag_offset"] >= 0:
            word = int(p["frag_offset"]) | int(p["more_fragments"] == 1)
            data = struct.pack("!BBHI", proto, 0, word, int(p["ip_id"])) + data
            proto = 44
        first = 6 << 28 | int(p["tos"]) << 20 | int(p["flow_label"])
        return struct.pack("!IHBB", first, len(data), proto, int(p["ttl"])) + src + dst + data
    fragment = int(p["df"]) << 14 | int(p["more_fragments"]) << 13 | int(p["frag_offset"]) // 8
    head = _ipv4_header(
        src, dst, proto, int(p["ttl"]), int(p["ip_id"]), int(p["ip_len"]), int(p["tos"]), fragment
    )
    return head + data


def _payload(p: Any, m: Any, quoted: Any) -> bytes:
    size = int(p["payload_len"])
    if quoted is not None:
        quote = stream_bytes(int(m["stream"]), int(m["offset"]), int(m["quoted"]))
        return _quote(quoted, size, quote)
    return stream_bytes(int(m["stream"]), int(m["offset"]), size)


def _quote(q: Any, size: int, payload: bytes) -> bytes:
    src, dst = _address(q, "inner_src"), _address(q, "inner_dst")
    proto = int(q["inner_proto"])
    if proto in (1, 58):
        ids = int(q["inner_icmp_id"]), int(q["inner_icmp_seq"])
        l4 = struct.pack("!BBHHH", 8 if proto == 1 else 128, 0, 0, *ids)
    else:
        l4 = struct.pack("!HHI", int(q["inner_sport"]), int(q["inner_dport"]),
                         max(int(q["inner_tcp_seq"]), 0))  # fmt: skip
        if proto == 17:
            l4 = l4[:4] + struct.pack("!HH", size - 20, 0)
    if len(src) == 16:
        head = struct.pack("!IHBB", 6 << 28, size - 40, proto, int(q["inner_ttl"])) + src + dst
    else:
        head = _ipv4_header(src, dst, proto, int(q["inner_ttl"]), int(q["inner_ip_id"]), size)
    return (head + l4 + payload)[:size]


def _transport(p: Any, m: Any, payload: bytes, src: bytes, dst: bytes) -> bytes:
    proto, more = int(p["proto"]), p["more_fragments"] == 1
    if proto == 6:
        head, at = _tcp(p, m), 16
    elif proto == 17:
        head = struct.pack("!HHHH", int(p["sport"]), int(p["dport"]), 8 + len(payload), 0)
        at = 6 if p["ip_version"] == 6 or m["flow"] % 3 else -1  # some send no checksum
    else:
        ids = (int(p["icmp_id"]), int(p["icmp_seq"])) if p["icmp_id"] >= 0 else (0, 0)
        head, at = struct.pack("!BBHHH", int(p["icmp_type"]), int(p["icmp_code"]), 0, *ids), 2
    if at < 0 or more:
        return head + payload
    pseudo = src + dst + struct.pack("!II", len(head) + len(payload), proto)
    total = checksum((b"" if proto == 1 else pseudo) + head + payload)
    return head[:at] + struct.pack("!H", total) + head[at + 2 :] + payload


# A cut time stamp (a snaplen in the header) still was on the wire: the header length says so.
def _tcp(p: Any, m: Any) -> bytes:
    size = int(p["ip_len"]) - 20 - int(p["payload_len"]) - (20 if p["ip_version"] == 6 else 0)
    options = sack = b""
    if m["sack"]:
        sack = struct.pack("!BBBBQ", 1, 1, 5, 10, int(m["sack"]))
    if size > 20 + len(sack):
        options = struct.pack("!BBBBII", 1, 1, 8, 10, max(int(p["tcp_tsval"]), 0),
                              max(int(p["tcp_tsecr"]), 0))  # fmt: skip
    options += sack
    return struct.pack(
        "!HHIIHHHH", int(p["sport"]), int(p["dport"]), int(p["tcp_seq"]), int(p["tcp_ack"]),
        size // 4 << 12 | int(p["tcp_flags"]), int(p["tcp_window"]), 0, 0,
    ) + options  # fmt: skip


def _outer(t: Any, inner: bytes) -> bytes:
    kind, vni = int(t["encap"]), int(t["vni"])
    if kind == Encap.GRE:
        proto, shim = 47, struct.pack("!HHI", 0x2000, 0x6558, vni)
    else:
        flags = 0x08000000 if kind == Encap.VXLAN else 0x00006558
        udp = struct.pack("!HHHH", int(t["outer_sport"]), int(t["outer_dport"]), 16 + len(inner), 0)
        proto, shim = 17, udp + struct.pack("!II", flags, vni << 8)
    src, dst = _address(t, "outer_src"), _address(t, "outer_dst")
    head = _ipv4_header(
        src, dst, proto, int(t["outer_ttl"]), int(t["outer_ip_id"]), 20 + len(shim) + len(inner)
    )
    macs = _mac(t["outer_dst_mac"]) + _mac(t["outer_src_mac"])
    return macs + struct.pack("!H", 0x0800) + head + shim + inner


assert DIGEST_BYTES == 128
