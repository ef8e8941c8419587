"""Reading pcap files: where each packet's bytes lie in a window, and its stamp and lengths.

Sources: draft-ietf-opsawg-pcap and libpcap's sf-pcap.c. Read are magic 0xa1b2c3d4 (µs),
0xa1b23c4d (ns) and Kuznetzov's 0xa1b2cd34, each in both byte orders.
"""

import struct
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from tracer.core.errors import InputError
from tracer.core.jit import jit_plain
from tracer.core.schema import StructuredArray
from tracer.sources.findings import Findings
from tracer.sources.frames import FRAME_DTYPE, FRAMES_PER_WINDOW, Interface, Window
from tracer.sources.numbers import load32, note
from tracer.sources.stream import Buffer

MICROSECONDS, NANOSECONDS, MODIFIED = 0xA1B2C3D4, 0xA1B23C4D, 0xA1B2CD34
HEADER = 24
# Wireshark's and libpcap's bound; a length beyond it is damage unless the snaplen allows it.
MAX_RECORD = 262_144
MAX_SNAPLEN = 1 << 27

_MORE, _FULL, _DAMAGED, _JOINED = 0, 1, 2, 3
# Version 2.4 as a number, in its own byte order or the other.
_VERSIONS = (0x00040002, 0x00020004, 0x02000400, 0x04000200)
_MAGICS = (MICROSECONDS, NANOSECONDS, MODIFIED, 0xD4C3B2A1, 0x4D3CB2A1, 0x34CDB2A1)
_EGRESS = 4  # PACKET_OUTGOING of linux/if_packet.h, in the modified record header
# What the walk counts; the first offsets follow in the same array.
_ZERO, _SNAPPED, _FRACTION, _COUNTS = 0, 1, 2, 3


def is_pcap(head: bytes) -> bool:
    """Return whether the first bytes are a pcap magic number, in either byte order."""
    return _magic(head) is not None


class PcapReader:
    """The packets of one pcap file.

    `interfaces` holds its only interface once made. Raises InputError when the file header is cut
    short or of a version that does not exist.
    """

    kind = "pcap"

    def __init__(self, buffer: Buffer, findings: Findings) -> None:
        head = buffer.head(HEADER)
        found = _magic(head)
        if found is None or len(head) < HEADER:
            raise InputError(
                "the pcap file header is cut short.", "Capture again, or copy the file again."
            )
        self._order, magic = found
        major, minor = struct.unpack_from(self._order + "HH", head, 4)
        snaplen, network = struct.unpack_from(self._order + "II", head, 16)
        if major != 2:
            message = f"pcap version {major}.{minor} is not known (2.4 is)."
            raise InputError(message, "Capture again, with `tcpdump -w`.")
        self._extra = 8 if magic == MODIFIED else 0
        self._scale = 1 if magic == NANOSECONDS else 1000
        self._snaplen = snaplen if 0 < snaplen <= MAX_SNAPLEN else MAX_RECORD
        self._buffer, self._findings = buffer, findings
        self._head = _kind_of(head)
        # The upper bits tell of a frame check sequence (draft-ietf-opsawg-pcap, 4.1).
        self.interfaces = [Interface(linktype=network & 0xFFFF)]
        self.dropped: int | None = None
        buffer.consume(HEADER)

    def windows(self) -> Iterator[Window]:
        """Yield windows of packets in file order, at most 65536 each, until the end or damage."""
        frames = np.empty(FRAMES_PER_WINDOW, FRAME_DTYPE)
        linktypes = np.array([self.interfaces[0].linktype], np.int32)
        first, status, size = 1, _MORE, 16 + self._extra
        while status != _DAMAGED and (status == _FULL or self._buffer.fill(size)):
            count, size, status = self._walk(frames)
            if count:
                yield Window(self._buffer.data, frames[:count], linktypes, first)
            first += count
            if status == _JOINED:
                size = 16 + self._extra
                if not self._go_on():
                    return
        if status == _DAMAGED:
            self._report_damage(size)
        elif len(self._buffer):
            self._report_cut(size)

    def _walk(self, frames: StructuredArray) -> tuple[int, int, int]:
        # Consumes whole records; returns how many, bytes the next one needs, and why it stopped.
        counts = np.zeros((2, _COUNTS), np.int64)
        buffer = self._buffer
        count, position, size, status = walk_records(
            buffer.data, buffer.start, buffer.end, self._order == ">", self._extra, self._scale,
            self._snaplen, frames, counts,
        )  # fmt: skip
        self._report_counts(counts)
        buffer.start = position
        return count, size, status

    def _go_on(self) -> bool:
        # Past the header of another file that `cat` put behind this one; not where it is unlike.
        offset = self._buffer.position
        if _kind_of(self._buffer.head(HEADER)) == self._head:
            self._buffer.consume(HEADER)
            message = "another pcap file begins in it, as `cat` joins them; that was read, too"
            self._findings.add("joined-files", message, offset)
            return True
        message = (
            "another pcap file begins in it, of another kind than the first; reading stopped there "
            f"and {self._buffer.drain()} bytes were not read: join the files with mergecap"
        )
        self._findings.add("joined-files", message, offset)
        return False

    def _report_counts(self, counts: NDArray[np.int64]) -> None:
        messages = {
            _ZERO: ("zero-length-record", "a record holds no bytes of its packet"),
            _SNAPPED: (
                "beyond-snaplen",
                f"a record is longer than the {self._snaplen} bytes the file header promises;"
                " it was read whole",
            ),
            _FRACTION: (
                "bad-timestamp",
                "a time stamp's fraction is a second or more; it was added as it stands",
            ),
        }
        for index, (kind, message) in messages.items():
            offset = self._buffer.offset + int(counts[1, index])
            self._findings.add(kind, message, offset, int(counts[0, index]))

    def _report_damage(self, size: int) -> None:
        offset = self._buffer.position
        self._findings.add(
            "bad-record-length",
            f"a record claims {size} bytes, more than any packet has; reading stopped there and"
            f" {self._buffer.drain()} bytes were not read",
            offset,
        )

    def _report_cut(self, size: int) -> None:
        self._findings.add(
            "truncated-record",
            f"the last record is cut short: {len(self._buffer)} of {size} bytes are there",
            self._buffer.position,
        )


def _kind_of(head: bytes) -> bytes:
    # Magic, version and link type.
    return head[:8] + head[20:HEADER]


def _magic(head: bytes) -> tuple[str, int] | None:
    # (struct byte order, magic)
    for order in "<>":
        if len(head) >= 4:
            (magic,) = struct.unpack_from(order + "I", head)
            if magic in (MICROSECONDS, NANOSECONDS, MODIFIED):
                return order, magic
    return None


@jit_plain
def walk_records(
    data: NDArray[np.uint8],
    start: int,
    end: int,
    swapped: bool,
    extra: int,
    scale: int,
    snaplen: int,
    frames: StructuredArray,
    counts: NDArray[np.int64],
) -> tuple[int, int, int, int]:
    """Fill `frames` from the records in data[start:end].

    Returns (frames filled, offset of the first record not taken, bytes that record needs, status);
    adds to `counts`, shape (2, 3): how many, and the offset of the first.
    """
    header = 16 + extra
    limit = max(snaplen, MAX_RECORD)
    filled, at = 0, start
    while at + header <= end:
        cap_len = load32(data, at + 8, swapped)
        if (
            cap_len == 0
            and load32(data, at, swapped) in _MAGICS
            and load32(data, at + 4, swapped) in _VERSIONS
        ):
            return filled, at, HEADER, _JOINED if at + HEADER <= end else _MORE
        if cap_len > limit:
            return filled, at, cap_len, _DAMAGED
        if at + header + cap_len > end:
            return filled, at, header + cap_len, _MORE
        if filled == len(frames):
            return filled, at, header, _FULL
        fraction = load32(data, at + 4, swapped) * scale
        frame = frames[filled]
        frame.offset = at + header
        frame.time_ns = load32(data, at, swapped) * 1_000_000_000 + fraction
        frame.cap_len = cap_len
        frame.wire_len = load32(data, at + 12, swapped)
        frame.interface = 0
        frame.direction = -1
        if extra:
            frame.direction = 1 if data[at + 22] == _EGRESS else 0
        note(counts, _ZERO, cap_len == 0, at)
        note(counts, _SNAPPED, cap_len > snaplen, at)
        note(counts, _FRACTION, fraction >= 1_000_000_000, at)
        filled += 1
        at += header + cap_len
    return filled, at, header, _MORE
