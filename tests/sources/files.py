"""Capture files written by hand from the format's text, and what tshark reads in them."""

import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tracer.sources.findings import Findings
from tracer.sources.pcap import PcapReader, is_pcap
from tracer.sources.pcapng.reader import PcapngReader
from tracer.sources.stream import Buffer

START = 1_700_000_000
# A whole Ethernet/IPv4/UDP frame, so that tshark and the decoder have something to read.
UDP = bytes.fromhex(
    "fa163effd58bfa163ea4588d0800450000200001400040110000c0a803456479004530390035000c0000"
) + bytes(4)


@dataclass(frozen=True)
class Packet:
    data: bytes = UDP
    seconds: int = START
    fraction: int = 0
    wire_len: int | None = None


def pcap_header(
    magic: int = 0xA1B2C3D4, order: str = "<", linktype: int = 1, snaplen: int = 65535
) -> bytes:
    return struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, snaplen, linktype)


def record(packet: Packet, order: str = "<", extra: bytes = b"") -> bytes:
    wire_len = len(packet.data) if packet.wire_len is None else packet.wire_len
    head = struct.pack(order + "IIII", packet.seconds, packet.fraction, len(packet.data), wire_len)
    return head + extra + packet.data


def pcap(packets: list[Packet], order: str = "<", **header: int) -> bytes:
    return pcap_header(order=order, **header) + b"".join(record(p, order) for p in packets)


def some(count: int, size: int = len(UDP)) -> list[Packet]:
    return [Packet((UDP + bytes(size))[:size], START + n, n) for n in range(count)]


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    body += bytes(-len(body) % 4)
    total = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + total + body + total


def option(code: int, value: bytes, order: str = "<") -> bytes:
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def section(order: str = "<", length: int = -1) -> bytes:
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, length), order)


def interface(linktype: int = 1, snaplen: int = 0, options: bytes = b"", order: str = "<") -> bytes:
    return block(1, struct.pack(order + "HHI", linktype, 0, snaplen) + options, order)


def enhanced(
    data: bytes = UDP,
    stamp: int = START * 1_000_000,
    number: int = 0,
    options: bytes = b"",
    order: str = "<",
) -> bytes:
    head = struct.pack(
        order + "IIIII", number, stamp >> 32, stamp & 0xFFFF_FFFF, len(data), len(data)
    )
    return block(6, head + data + bytes(-len(data) % 4) + options, order)


class Chunks:
    """A stream that gives its bytes in pieces of one size."""

    def __init__(self, data: bytes, size: int = 1 << 20) -> None:
        self.data, self.size, self.at = data, size, 0

    def readinto(self, view: memoryview) -> int:
        piece = self.data[self.at : self.at + min(self.size, len(view))]
        view[: len(piece)] = piece
        self.at += len(piece)
        return len(piece)

    def close(self) -> None:
        self.size = 0


Row = tuple[int, int, int, int, int, int, bytes]


def frames_of(
    data: bytes, window: int = 1 << 16, piece: int = 1 << 20
) -> tuple[list[Row], Findings]:
    """(number, time_ns, cap_len, wire_len, interface, direction, data) of every packet."""
    findings = Findings("file")
    buffer = Buffer(Chunks(data, piece), window)
    reader = (PcapReader if is_pcap(data) else PcapngReader)(buffer, findings)
    rows: list[Row] = []
    for w in reader.windows():
        for n, frame in enumerate(w.frames):
            offset, time_ns, cap_len, wire_len, number, direction = frame.tolist()
            packet = w.data[offset : offset + cap_len].tobytes()
            rows.append((w.first_frame + n, time_ns, cap_len, wire_len, number, direction, packet))
    return rows, findings


def kinds(findings: Findings) -> dict[str, int]:
    return {warning.kind: warning.count for warning in findings.warnings()}


def tshark(path: Path) -> list[tuple[int, int, int, int]]:
    """(number, time_ns, cap_len, wire_len) of every packet, as tshark reads them."""
    fields = ["frame.number", "frame.time_epoch", "frame.cap_len", "frame.len"]
    command = ["tshark", "-n", "-r", str(path), "-T", "fields"]
    for field in fields:
        command += ["-e", field]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    rows = []
    for line in done.stdout.splitlines():
        number, stamp, cap_len, wire_len = line.split("\t")
        whole, _, fraction = stamp.partition(".")
        time_ns = int(whole) * 10**9 + int(fraction.ljust(9, "0")[:9]) if stamp else -1
        rows.append((int(number), time_ns, int(cap_len), int(wire_len)))
    return rows
