"""The compiled walk over pcapng blocks: packet blocks become frames, others are passed on."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.jit import jit_plain
from tracer.core.schema import StructuredArray
from tracer.sources.numbers import load16, load32, note
from tracer.sources.pcapng import blocks as b
from tracer.sources.pcapng.stamps import to_ns

Counts = NDArray[np.int64]


@jit_plain
def walk_blocks(
    data: NDArray[np.uint8],
    start: int,
    end: int,
    swapped: bool,
    interfaces: StructuredArray,
    first_interface: int,
    frames: StructuredArray,
    lost: NDArray[np.int64],
    filled: int,
    counts: Counts,
) -> tuple[int, int, int, int]:
    """Fill `frames` from index `filled` on with the packets of the blocks in data[start:end].

    `interfaces` has INTERFACE_DTYPE, those of the section; `first_interface` is the index of its
    first over all sections. Returns (frames filled, offset of the first block not taken, bytes that
    block needs, status). Whatever else than packets Python has to look at is status OTHER. `lost`:
    how many packets before each one its interface lost, as the packet's block says.
    """
    at = start
    while at + b.MIN_BLOCK <= end:
        kind = load32(data, at, swapped)
        order = swapped
        if kind == b.SECTION and load32(data, at + 8, swapped) != b.BYTE_ORDER_MAGIC:
            order = not swapped  # a section may have the other byte order than the one before
        total = load32(data, at + 4, order)
        if total < b.MIN_BLOCK or total % 4 or total > b.MAX_BLOCK:
            return filled, at, total, b.DAMAGED
        if at + total > end:
            return filled, at, total, b.MORE
        if load32(data, at + total - 4, order) != total:
            return filled, at, total, b.DAMAGED
        if kind in (b.SECTION, b.INTERFACE, b.STATISTICS):
            return filled, at, total, b.OTHER
        if kind in (b.ENHANCED_PACKET, b.OBSOLETE_PACKET, b.SIMPLE_PACKET):
            if filled == len(frames):
                return filled, at, total, b.FULL
            frame = frames[filled]
            before = counts[0, b.DROPS]
            if kind == b.SIMPLE_PACKET:
                taken = _simple(data, at, total, swapped, interfaces, frame, counts)
            else:
                taken = _timed(data, at, total, swapped, interfaces, frame, counts, kind)
            if taken:
                note(counts, b.EMPTY, frame.cap_len == 0, at)
                lost[filled] = counts[0, b.DROPS] - before
                if frame.interface >= 0:
                    frame.interface += first_interface
                filled += 1
        at += total
    return filled, at, b.MIN_BLOCK, b.MORE


@jit_plain
def _timed(
    data: NDArray[np.uint8],
    at: int,
    total: int,
    swapped: bool,
    interfaces: StructuredArray,
    frame: Any,
    counts: Counts,
    kind: int,
) -> bool:
    # Enhanced and obsolete packet blocks: type, length, interface, stamp, lengths, data, options.
    cap_len = load32(data, at + 20, swapped) if total >= 32 else 0
    if total < 32 or cap_len > total - 32:
        note(counts, b.BAD_PACKET, True, at)
        return False
    interface = load32(data, at + 8, swapped)
    if kind == b.OBSOLETE_PACKET:
        interface = load16(data, at + 8, swapped)
        drops = load16(data, at + 10, swapped)
        counts[0, b.DROPS] += drops if drops != b.UNKNOWN_DROPS else 0
    frame.offset = at + 28
    frame.cap_len = cap_len
    frame.wire_len = load32(data, at + 24, swapped)
    frame.direction = -1
    frame.interface = interface if interface < len(interfaces) else -1
    note(counts, b.UNDEFINED, frame.interface < 0, at)
    high, low = load32(data, at + 12, swapped), load32(data, at + 16, swapped)
    if frame.interface >= 0:
        about = interfaces[interface]
        frame.time_ns = to_ns(high, low, about.is_binary, about.exponent, about.offset_s)
    else:
        frame.time_ns = to_ns(high, low, 0, 6, 0)
    note(counts, b.BAD_TIME, frame.time_ns == -1, at)
    options = at + 28 + (cap_len + 3) // 4 * 4
    _options(data, options, at + total - 4, swapped, frame, counts, at)
    return True


@jit_plain
def _simple(
    data: NDArray[np.uint8],
    at: int,
    total: int,
    swapped: bool,
    interfaces: StructuredArray,
    frame: Any,
    counts: Counts,
) -> bool:
    # No interface (the section's first), no stamp, and the captured length only by implication.
    if total < 16:
        note(counts, b.BAD_PACKET, True, at)
        return False
    wire_len = load32(data, at + 8, swapped)
    cap_len = min(wire_len, total - 16)
    if len(interfaces) > 0 and interfaces[0].snaplen > 0:
        cap_len = min(cap_len, interfaces[0].snaplen)
    frame.offset = at + 12
    frame.cap_len = cap_len
    frame.wire_len = wire_len
    frame.direction = -1
    frame.interface = 0 if len(interfaces) > 0 else -1
    frame.time_ns = -1
    note(counts, b.UNDEFINED, frame.interface < 0, at)
    note(counts, b.NO_TIME, True, at)
    return True


@jit_plain
def _options(
    data: NDArray[np.uint8],
    start: int,
    end: int,
    swapped: bool,
    frame: Any,
    counts: Counts,
    block: int,
) -> None:
    at = start
    while at + 4 <= end:
        code, length = load16(data, at, swapped), load16(data, at + 2, swapped)
        if code == b.OPTION_END:
            return
        if at + 4 + length > end:
            note(counts, b.BAD_OPTIONS, True, block)
            return
        if code == b.OPTION_PACKET_FLAGS and length == 4:
            # 1 is inbound (ingress, 0), 2 outbound (egress, 1).
            way = load32(data, at + 4, swapped) & 3
            if way in (1, 2):
                frame.direction = way - 1
        elif code == b.OPTION_DROP_COUNT and length == 8:
            counts[0, b.DROPS] += _low32(data, at + 4, swapped)
        at += 4 + (length + 3) // 4 * 4


@jit_plain
def _low32(data: NDArray[np.uint8], at: int, swapped: bool) -> int:
    # The lower half of a 64-bit number; more packets than that were never lost between two.
    return load32(data, at + 4 if swapped else at, swapped)
