"""A pcapng file as windows of packets."""

import struct
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tracer.core.errors import InputError
from tracer.core.schema import StructuredArray
from tracer.sources.findings import Findings
from tracer.sources.frames import FRAME_DTYPE, FRAMES_PER_WINDOW, Interface, Window
from tracer.sources.pcapng import blocks as b
from tracer.sources.pcapng.options import byte_order, drops_of, interface_of
from tracer.sources.pcapng.stamps import to_ns
from tracer.sources.pcapng.walk import walk_blocks
from tracer.sources.stream import Buffer

_MICROSECONDS = 6  # digits behind the second
_MAX_INTERFACES = 1 << 16  # over all sections: a hostile file must not fill the memory with them

_MESSAGES = {
    b.EMPTY: ("zero-length-record", "a block holds no bytes of its packet"),
    b.BAD_PACKET: (
        "bad-block",
        "a packet block's lengths contradict each other; that block was passed over",
    ),
    b.BAD_OPTIONS: ("bad-options", "a block's options run beyond its end; its packet was read"),
    b.BAD_TIME: (
        "bad-timestamp",
        "a time stamp lies beyond what 64-bit nanoseconds hold; it is unknown",
    ),
    b.NO_TIME: ("no-timestamp", "simple packet blocks have no time stamp; it is unknown"),
    b.UNDEFINED: (
        "undefined-interface",
        "a packet names an interface that the file does not describe; it cannot be decoded",
    ),
}


class _Told(NamedTuple):
    """Counters that a statistics block gives, and how many frames of the window precede it.

    `until_ns`: when they were read, by the interface's resolution, and in microseconds, in which
    dumpcap writes it whatever that is.
    """

    interface: Interface
    dropped: int
    until_ns: tuple[int, int]
    before: int


class PcapngReader:
    """The packets of one pcapng file; raises InputError when its first section is damaged.

    `interfaces` grows while windows are read, over all sections; `dropped` is what packet blocks
    and statistics say was lost, None when they say nothing. Frames are numbered as tcpdump counts
    them; Wireshark from 4.0 on counts custom blocks too.
    """

    kind = "pcapng"

    def __init__(self, buffer: Buffer, findings: Findings) -> None:
        self._buffer, self._findings = buffer, findings
        self.interfaces: list[Interface] = []
        self._order = "<"
        self._first_interface = 0
        self._table = np.empty(4, b.INTERFACE_DTYPE)
        self._linktypes = np.empty(0, np.int32)
        self._block_drops = 0
        # Statistics of the window under way, and how many of its frames precede them.
        self._told: list[_Told] = []
        self._lost = np.zeros(FRAMES_PER_WINDOW, np.int64)  # before each frame of a window
        self._damage: str | None = None
        self._check_first_section()

    @property
    def dropped(self) -> int | None:
        """Packets lost before they reached the file, None when the file does not say."""
        told = [i.dropped for i in self.interfaces if i.dropped is not None]
        return sum(told) if told else self._block_drops or None

    def windows(self) -> Iterator[Window]:
        """Yield windows of packets in file order, at most 65536 each, until the end or damage."""
        frames = np.empty(FRAMES_PER_WINDOW, FRAME_DTYPE)
        first, need, status = 1, b.MIN_BLOCK, b.MORE
        while self._damage is None and (status == b.FULL or self._buffer.fill(need)):
            count, need, status = self._gather(frames)
            done = 0
            for told in self._told:
                self._note_gaps(frames[done : told.before], self._lost[done : told.before])
                self._note_statistics(told)
                done = told.before
            self._told.clear()
            self._note_gaps(frames[done:count], self._lost[done:count])
            if count:
                yield Window(self._buffer.data, frames[:count], self._known_linktypes(), first)
            first += count
        if self._damage is not None:
            self._report_damage()
        elif len(self._buffer):
            self._report_cut(need)

    def _note_gaps(self, frames: StructuredArray, lost_before: NDArray[np.int64]) -> None:
        # What packet blocks say was lost lies between two stamps of their interface.
        for number in np.unique(frames["interface"][frames["interface"] >= 0]).tolist():
            mine = np.flatnonzero(frames["interface"] == number)
            time, lost = frames["time_ns"][mine], lost_before[mine]
            interface = self.interfaces[number]
            for at in np.flatnonzero(lost).tolist():
                before = int(time[at - 1]) if at else interface.last_ns
                now = int(time[at])
                interface.gaps.append((before if before >= 0 else now, now, int(lost[at])))
                interface.gone += int(lost[at])
                interface.told_ns = now
            if interface.first_ns < 0:
                interface.first_ns = int(time.min())
            interface.last_ns = int(time.max())

    def _gather(self, frames: StructuredArray) -> tuple[int, int, int]:
        # Consumes the blocks that are in the buffer; returns frames filled, bytes needed, status.
        buffer, counts = self._buffer, np.zeros((2, b.COUNTS), np.int64)
        filled, need, status = 0, b.MIN_BLOCK, b.OTHER
        while status == b.OTHER and self._damage is None:
            filled, at, need, status = walk_blocks(
                buffer.data, buffer.start, buffer.end, self._order == ">", self._known_interfaces(),
                self._first_interface, frames, self._lost, filled, counts,
            )  # fmt: skip
            buffer.start = at
            if status == b.OTHER:
                self._describe(need, filled)
            elif status == b.DAMAGED:
                self._damage = f"a block claims a length of {need} bytes, which cannot be"
        self._block_drops += int(counts[0, b.DROPS])
        for index, (kind, message) in _MESSAGES.items():
            offset = buffer.offset + int(counts[1, index])
            self._findings.add(kind, message, offset, int(counts[0, index]))
        return filled, need, status

    def _check_first_section(self) -> None:
        head = self._buffer.head(b.MIN_BLOCK)
        total = struct.unpack_from((byte_order(head) or "<") + "I", head.ljust(8, b"\0"), 4)[0]
        sound = byte_order(head) is not None and 28 <= total <= b.MAX_BLOCK and total % 4 == 0
        if not sound or not self._buffer.fill(total):
            message = "the pcapng section header is cut short or damaged."
            raise InputError(message, "Capture again, or copy the file again.")

    def _describe(self, total: int, filled: int) -> None:
        # Takes one block that holds no packet; it is in the buffer, and its lengths agree.
        start = self._buffer.start
        block = self._buffer.data[start : start + total].tobytes()
        (kind,) = struct.unpack_from(self._order + "I", block)
        body = block[8:-4]
        if kind == b.SECTION:
            self._open_section(block)
        elif kind == b.INTERFACE:
            self._add_interface(body)
        else:
            self._add_statistics(body, filled)
        if self._damage is None:
            self._buffer.consume(total)

    def _open_section(self, block: bytes) -> None:
        order = byte_order(block)
        major = struct.unpack_from((order or "<") + "H", block, 12)[0] if len(block) >= 28 else 0
        if order is None or major != 1:
            self._damage = "a section header is damaged or of an unknown version"
            return
        self._order = order
        self._first_interface = len(self.interfaces)

    def _add_interface(self, body: bytes) -> None:
        if len(body) < 8 or len(self.interfaces) == _MAX_INTERFACES:
            self._damage = "an interface description is too short, or the 65536th"
            return
        interface, record, sound = interface_of(body, self._order)
        place = len(self.interfaces) - self._first_interface
        if place == len(self._table):
            self._table = np.concatenate([self._table, np.empty_like(self._table)])
        self._table[place] = record
        self.interfaces.append(interface)
        if not sound:
            self._findings.add(*_MESSAGES[b.BAD_OPTIONS], self._buffer.position)

    def _add_statistics(self, body: bytes, filled: int) -> None:
        if len(body) < 12:
            self._findings.add(
                "bad-block", "a statistics block is too short", self._buffer.position
            )
            return
        place, dropped, stamp = drops_of(body, self._order)
        index = place + self._first_interface
        if dropped is not None and index < len(self.interfaces):
            _, offset_s, exponent, is_binary = self._table[place].tolist()
            own_ns = to_ns(*stamp, is_binary, exponent, offset_s)
            until_ns = (own_ns, to_ns(*stamp, 0, _MICROSECONDS, offset_s))
            self._told.append(_Told(self.interfaces[index], dropped, until_ns, filled))
            self.interfaces[index].dropped = dropped

    def _note_statistics(self, told: _Told) -> None:
        # Counters count on from the section's beginning. Packet blocks tell more exactly when.
        interface = told.interface
        more = told.dropped - interface.gone
        since = interface.told_ns if interface.told_ns >= 0 else interface.first_ns
        if interface.last_ns < 0:
            return
        # What was lost may be what came last, up to when the counters were read.
        later = [ns for ns in told.until_ns if ns >= interface.last_ns]
        until_ns = later[0] if later else interface.last_ns
        if more > 0:
            interface.gaps.append((since, until_ns, more))
            interface.gone = told.dropped
        interface.told_ns = until_ns

    def _known_interfaces(self) -> StructuredArray:
        return self._table[: len(self.interfaces) - self._first_interface]

    def _known_linktypes(self) -> NDArray[np.int32]:
        if len(self._linktypes) != len(self.interfaces):
            self._linktypes = np.array([i.linktype for i in self.interfaces], np.int32)
        return self._linktypes

    def _report_damage(self) -> None:
        offset = self._buffer.position
        self._findings.add(
            "bad-block",
            f"{self._damage}; reading stopped there and {self._buffer.drain()} bytes were not read",
            offset,
        )

    def _report_cut(self, need: int) -> None:
        self._findings.add(
            "truncated-record",
            f"the last block is cut short: {len(self._buffer)} of {need} bytes are there",
            self._buffer.position,
        )
