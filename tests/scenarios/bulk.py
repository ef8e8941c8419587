"""Millions of observations at eight points, for measuring speed: no Python loop over packets.

The path is that of a floating IP with SNAT; TCP data and ACKs, UDP and pings of many flows, both
ways. The same packets come as a batch (`bulk_batch`) or as pcap files (`write_bulk_pcaps`).
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numba import njit
from numpy.typing import NDArray

from scenarios.captures import digest
from scenarios.clocks import EPOCH
from scenarios.elements import mac_of
from scenarios.frames import ip4, mix
from tracer.core.batch import ObservationBatch
from tracer.core.point import Point
from tracer.core.schema import PACKET_DTYPE, StructuredArray, null_record

DEVICES = ("tap0", "qr-1f6b0aa3", "rfp-b6a86b9f", "fpr-b6a86b9f", "fg-2417e6fb", "enp175s0f1",
           "core1", "eth0")  # fmt: skip
HOSTS = ("compute03",) * 6 + ("gateway", "server")
DELAY_NS = np.cumsum((40, 9_000, 13_000, 2_500, 12_000, 9_000, 160_000, 50_000))
LEVEL = np.array((0, 0, 1, 1, 2, 2, 3, 3))  # routers crossed before a point
NAT_AT, TAGGED = 2, 5  # points from here on see translated packets; the one that shows a VLAN
SNAPLEN, CHUNK, FLOWS, GAP_NS = 200, 250_000, 20_000, 2_000
ROUND_TRIP = 250  # packets, of GAP_NS each, between a question and its answer
LOWEST = 10_000  # of the ports; no tunnel's port is among them
# IP protocol, payload bytes and L4 header bytes of TCP data, TCP ACK, UDP and ping.
PROTO, PAYLOAD, HEADER = (
    np.array((6, 6, 17, 1)),
    np.array((1448, 0, 200, 56)),
    np.array((32, 32, 8, 8)),
)
FIXED, FIP, REMOTE = ip4("192.168.0.0"), ip4("100.122.0.145"), ip4("100.121.0.0")


@dataclass(slots=True)
class Chunk:
    """A stretch of packets: arrays of one length, `number` counts packets from 0 on."""

    number: NDArray[np.int64]
    kind: NDArray[np.int64]
    back: NDArray[np.bool_]  # from right to left
    flow: NDArray[np.int64]
    ip_id: NDArray[np.int64]
    seq: NDArray[np.int64]
    port: tuple[NDArray[np.int64], NDArray[np.int64]]  # of the client, before and after NAT
    times: NDArray[np.int64]  # (points, packets)


def bulk_points() -> tuple[Point, ...]:
    """Return the eight points."""
    return tuple(
        Point(host, None, device, capture=f"{host}-{device}.pcap")
        for host, device in zip(HOSTS, DEVICES, strict=True)
    )


def chunks(observations: int, seed: int = 1) -> Iterator[Chunk]:
    """Yield packets in chunks of time until there are `observations` at all points together."""
    rng = np.random.default_rng(seed)
    total = observations // len(DEVICES)
    kind_of = rng.choice((0, 2, 3), FLOWS, p=(0.75, 0.2, 0.05))
    ports = rng.integers(LOWEST, 65536, (2, FLOWS))
    # A translated port is used once a protocol.
    ports[1] = rng.permutation(np.arange(LOWEST, 65536))[:FLOWS]
    state = rng.integers(0, 1 << 16, (2, FLOWS))
    state[1] = np.where(kind_of == 3, state[0], state[1])  # a ping's answer repeats its number
    for start in range(0, total, CHUNK):
        number = np.arange(start, min(start + CHUNK, total))
        flow = rng.integers(0, FLOWS, len(number))
        back = (rng.random(len(number)) < 0.4) & (kind_of[flow] == 0)
        _answer(number, flow, back, kind_of)
        kind = kind_of[flow] + (back & (kind_of[flow] == 0))
        rank = _ranks(flow * 2 + back)
        count = state[back.astype(int), flow] + rank
        np.add.at(state, (back.astype(int), flow), 1)
        times = _times(rng, number, back)
        yield Chunk(
            number, kind, back, flow, count & 0xFFFF, count * 1448 & 0xFFFFFFFF,
            (ports[0][flow], ports[1][flow]), times,
        )  # fmt: skip


def _answer(
    number: NDArray[np.int64], flow: NDArray[np.int64], back: NDArray[np.bool_],
    kind_of: NDArray[np.int64],
) -> None:  # fmt: skip
    # UDP and pings: what was asked in the first half of a block is answered in the second.
    asked = np.flatnonzero(number % (2 * ROUND_TRIP) < ROUND_TRIP)
    asked = asked[asked < len(number) - ROUND_TRIP]
    asked = asked[kind_of[flow[asked]] > 1]
    taken = np.flatnonzero(number % (2 * ROUND_TRIP) >= ROUND_TRIP)
    taken = taken[kind_of[flow[taken]] > 1]
    tcp = np.flatnonzero(kind_of == 0)
    flow[taken] = tcp[flow[taken] % len(tcp)]  # questions that would come too late in the block
    flow[asked + ROUND_TRIP], back[asked + ROUND_TRIP] = flow[asked], True


def _ranks(key: NDArray[np.int64]) -> NDArray[np.int64]:
    order = np.argsort(key, kind="stable")
    first = np.searchsorted(key[order], key[order])
    rank = np.empty(len(key), np.int64)
    rank[order] = np.arange(len(key)) - first
    return rank


def _times(
    rng: np.random.Generator, number: NDArray[np.int64], back: NDArray[np.bool_]
) -> NDArray[np.int64]:
    sent = EPOCH + number * GAP_NS
    way = np.where(back, DELAY_NS[-1] - DELAY_NS[:, None], DELAY_NS[:, None])
    noise = rng.exponential(400, (len(DEVICES), len(number))).astype(np.int64)
    times: NDArray[np.int64] = sent + way + noise
    return times


def at_point(chunk: Chunk, point: int) -> tuple[StructuredArray, NDArray[np.int64]]:
    """Return what a point sees of a chunk, in its order (PACKET_DTYPE), and the packet numbers."""
    order = np.argsort(chunk.times[point], kind="stable")
    p = np.repeat(null_record(PACKET_DTYPE), len(order))
    kind, back, number = chunk.kind[order], chunk.back[order], chunk.number[order]
    p["time_ns"] = chunk.times[point][order]
    _addresses(p, chunk, point, order, kind, back)
    p["ip_version"], p["ethertype"], p["df"], p["tos"] = 4, 0x0800, 1, 0
    p["frag_offset"] = p["more_fragments"] = 0
    p["proto"], p["payload_len"], p["ip_id"] = PROTO[kind], PAYLOAD[kind], chunk.ip_id[order]
    p["ip_len"] = 20 + HEADER[kind] + PAYLOAD[kind]
    p["wire_len"] = 14 + 4 * (point == TAGGED) + p["ip_len"]
    p["cap_len"] = np.minimum(p["wire_len"], SNAPLEN)
    p["vlan"] = 20 if point == TAGGED else -1
    p["ttl"] = 64 - np.where(back, LEVEL[-1] - LEVEL[point], LEVEL[point])
    macs = [mac_of(2 * int(LEVEL[point]) + side) for side in range(2)]
    p["src_mac"], p["dst_mac"] = np.where(back, macs[1], macs[0]), np.where(back, macs[0], macs[1])
    _transport(p, chunk, order, kind, back)
    covered = np.minimum(p["payload_len"], 128)
    p["payload_digest"] = digest(_stream(number), np.zeros(len(order), np.int64), covered)
    return p, number


def _stream(number: NDArray[np.int64]) -> NDArray[np.uint64]:
    return mix(number.astype(np.uint64) | np.uint64(1 << 40))


def _addresses(
    p: StructuredArray, chunk: Chunk, point: int, order: NDArray[np.int64],
    kind: NDArray[np.int64], back: NDArray[np.bool_],
) -> None:  # fmt: skip
    flow, outside = chunk.flow[order], point >= NAT_AT
    client = np.full(len(order), FIP) if outside else FIXED + 2 + flow % 200
    server = REMOTE + 2 + flow % 50_000
    port = chunk.port[int(outside)][order]
    p["src_hi"] = p["dst_hi"] = 0
    p["src_lo"], p["dst_lo"] = np.where(back, server, client), np.where(back, client, server)
    ping = kind == 3
    p["sport"] = np.where(ping, -1, np.where(back, 443, port))
    p["dport"] = np.where(ping, -1, np.where(back, port, 443))
    p["icmp_id"] = np.where(ping, port, -1)


def _transport(
    p: StructuredArray, chunk: Chunk, order: NDArray[np.int64], kind: NDArray[np.int64],
    back: NDArray[np.bool_],
) -> None:  # fmt: skip
    tcp, ping, seq = kind < 2, kind == 3, chunk.seq[order]
    p["tcp_seq"] = np.where(tcp, np.where(kind == 0, seq, 77), -1)
    p["tcp_ack"] = np.where(tcp, np.where(kind == 0, 77, seq), -1)
    p["tcp_flags"], p["tcp_window"] = np.where(tcp, 16, -1), np.where(tcp, 501, -1)
    p["tcp_sack"] = np.where(tcp, 1, 0)
    ms = (chunk.number[order] * GAP_NS // 1_000_000) & 0xFFFFFFFF
    p["tcp_tsval"], p["tcp_tsecr"] = np.where(tcp, ms, -1), np.where(tcp, ms // 2, -1)
    p["icmp_type"] = np.where(ping, np.where(back, 0, 8), -1)
    p["icmp_code"] = np.where(ping, 0, -1)
    p["icmp_seq"] = np.where(ping, chunk.ip_id[order], -1)


def bulk_batch(observations: int, seed: int = 1) -> tuple[ObservationBatch, NDArray[np.int64]]:
    """Return a batch of `observations` rows, point after point, and each row's packet number."""
    total = observations // len(DEVICES)
    packets = np.empty(total * len(DEVICES), PACKET_DTYPE)
    truth = np.empty(len(packets), np.int64)
    for chunk in chunks(observations, seed):
        for point in range(len(DEVICES)):
            start = point * total + int(chunk.number[0])
            rows = slice(start, start + len(chunk.number))
            packets[rows], truth[rows] = at_point(chunk, point)
            packets["point"][rows] = packets["capture"][rows] = point
            packets["frame"][rows] = np.arange(1, len(chunk.number) + 1) + int(chunk.number[0])
    points = bulk_points()
    captures = tuple(p.capture or "" for p in points)
    return ObservationBatch(packets, points=points, captures=captures), truth


def write_bulk_pcaps(folder: Path, observations: int, seed: int = 1) -> list[Path]:
    """Write eight pcap files with `observations` packets together; memory does not grow."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / (point.capture or "") for point in bulk_points()]
    head = np.array([0xA1B23C4D, 4 << 16 | 2, 0, 0, SNAPLEN, 1], "<u4").tobytes()
    with ExitStack() as stack:
        files = [stack.enter_context(path.open("wb")) for path in paths]
        for file in files:
            file.write(head)
        for chunk in chunks(observations, seed):
            for point, file in enumerate(files):
                file.write(_records(*at_point(chunk, point)))
    return paths


# Records of one file: each kind has one size, so it is a matrix that is scattered into place.
def _records(p: StructuredArray, number: NDArray[np.int64]) -> bytes:
    offsets = np.concatenate([[0], np.cumsum(16 + p["cap_len"].astype(np.int64))])
    out = np.empty(offsets[-1], np.uint8)
    for size in np.unique(p["wire_len"]):
        rows = np.flatnonzero(p["wire_len"] == size)
        block = _block(p[rows], number[rows])
        _scatter(out, offsets[rows], block)
    return out.tobytes()


@njit  # type: ignore[untyped-decorator]  # numba has no types
def _scatter(out: NDArray[np.uint8], offsets: NDArray[np.int64], block: NDArray[np.uint8]) -> None:
    for i in range(len(offsets)):
        out[offsets[i] : offsets[i] + block.shape[1]] = block[i]


def _block(p: StructuredArray, number: NDArray[np.int64]) -> NDArray[np.uint8]:
    n, captured = len(p), int(p["cap_len"][0])
    block = np.zeros((n, 16 + captured), np.uint8)
    seconds, nano = np.divmod(p["time_ns"], 1_000_000_000)
    record = np.stack([seconds, nano, p["cap_len"], p["wire_len"]], 1).astype("<u4")
    block[:, :16] = record.view(np.uint8)
    at = 16
    for name in ("dst_mac", "src_mac"):
        at = _put(block, at, p[name], 6)
    if p["vlan"][0] >= 0:
        at = _put(block, _put(block, at, np.full(n, 0x8100), 2), p["vlan"], 2)
    at = _ip_header(block, _put(block, at, p["ethertype"], 2), p)
    at = _l4_header(block, at, p)
    left = 16 + captured - at
    if left > 0:
        key = _stream(number)[:, None] ^ mix(np.arange((left + 7) // 8, dtype=np.uint64))[None]
        block[:, at:] = mix(key).view(np.uint8)[:, :left]
    return block


# Big-endian numbers into columns of bytes; returns where the next field begins.
def _put(block: NDArray[np.uint8], at: int, value: NDArray[np.generic], size: int) -> int:
    wide = np.ascontiguousarray(value.astype(">u8")).view(np.uint8).reshape(-1, 8)
    block[:, at : at + size] = wide[:, 8 - size :]
    return at + size


def _ip_header(block: NDArray[np.uint8], at: int, p: StructuredArray) -> int:
    start, n = at, len(p)
    at = _put(block, at, np.full(n, 0x4500), 2)
    life = p["ttl"].astype(int) << 8 | p["proto"]
    for value in (p["ip_len"], p["ip_id"], np.full(n, 0x4000), life, np.zeros(n)):
        at = _put(block, at, value, 2)
    at = _put(block, _put(block, at, p["src_lo"], 4), p["dst_lo"], 4)
    words = np.ascontiguousarray(block[:, start:at]).view(">u2").sum(1, dtype=np.uint32)
    words = (words & 0xFFFF) + (words >> 16)
    words = (words & 0xFFFF) + (words >> 16)
    _put(block, start + 10, ~words & 0xFFFF, 2)
    return at


def _l4_header(block: NDArray[np.uint8], at: int, p: StructuredArray) -> int:
    proto, n = int(p["proto"][0]), len(p)
    if proto == 1:
        at = _put(block, at, p["icmp_type"].astype(int) << 8, 2)
        for value in (np.zeros(n), p["icmp_id"], p["icmp_seq"]):
            at = _put(block, at, value, 2)
        return at
    at = _put(block, _put(block, at, p["sport"], 2), p["dport"], 2)
    if proto == 17:
        return _put(block, at, (p["payload_len"].astype(int) + 8) << 16, 4)
    at = _put(block, _put(block, at, p["tcp_seq"], 4), p["tcp_ack"], 4)
    flags = (8 << 12 | p["tcp_flags"].astype(int)) << 16 | p["tcp_window"]
    at = _put(block, _put(block, at, flags, 4), np.full(n, 0x0101080A), 8)
    return _put(block, _put(block, at, p["tcp_tsval"], 4), p["tcp_tsecr"], 4)
