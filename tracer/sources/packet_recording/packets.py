"""Many packets at once as pcapng blocks."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.jit import jit_plain

Bytes = NDArray[np.uint8]
Offsets = NDArray[np.int64]


@dataclass(slots=True)
class Frames:
    """The bytes of packets: packet i is data[offsets[i]:offsets[i + 1]].

    `linktypes` (n,) int32 and `wire_len` (n,) int64 are theirs; a packet with link type -1 has no
    bytes that could be written.
    """

    data: Bytes
    offsets: Offsets
    linktypes: NDArray[np.int32]
    wire_len: Offsets


def packet_blocks(
    frames: Frames,
    interfaces: NDArray[np.int64],
    times: Offsets,
    directions: NDArray[np.int64],
    comments: tuple[Bytes, Offsets],
) -> bytes:
    """Return the enhanced packet blocks of frames: nothing for those of interface -1.

    `times` are UTC ns, `directions` as in `core.point.Direction`, `comments` UTF-8 text and where
    each begins (n + 1). Order stays.
    """
    written = interfaces >= 0
    lengths, texts = np.diff(frames.offsets), np.diff(comments[1])
    sizes = 32 + 8 + 4 + 4 + (lengths + 3) // 4 * 4 + (texts + 3) // 4 * 4
    sizes[~written] = 0
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
    out = np.zeros(int(starts[-1]), np.uint8)
    wire = np.maximum(frames.wire_len, lengths)
    fields = np.stack([interfaces, times, wire, directions + 1], axis=1)
    _fill(out, starts, fields, frames.data, frames.offsets, *comments)
    return out.tobytes()


@jit_plain
def _fill(
    out: Bytes, starts: Offsets, fields: Any, data: Bytes, offsets: Offsets, text: Bytes,
    text_offsets: Offsets,
) -> None:  # fmt: skip
    for i in range(len(fields)):
        at, total = starts[i], starts[i + 1] - starts[i]
        if total == 0:
            continue
        interface, time, wire, way = fields[i]
        size = offsets[i + 1] - offsets[i]
        _put(out, at, 6)
        _put(out, at + 4, total)
        _put(out, at + 8, interface)
        _put(out, at + 12, time >> 32)
        _put(out, at + 16, time)
        _put(out, at + 20, size)
        _put(out, at + 24, wire)
        at += 28
        for k in range(size):
            out[at + k] = data[offsets[i] + k]
        at += (size + 3) // 4 * 4
        size = text_offsets[i + 1] - text_offsets[i]
        _put(out, at, 1 | size << 16)  # opt_comment
        at += 4
        for k in range(size):
            out[at + k] = text[text_offsets[i] + k]
        at += (size + 3) // 4 * 4
        _put(out, at, 2 | 4 << 16)  # epb_flags: bits 0-1 are 1 inbound, 2 outbound
        _put(out, at + 4, way)
        _put(out, at + 8, 0)
        _put(out, at + 12, total)


@jit_plain
def _put(out: Bytes, at: int, value: int) -> None:
    for k in range(4):
        out[at + k] = value >> 8 * k & 0xFF
