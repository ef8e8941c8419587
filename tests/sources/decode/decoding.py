"""Runs the decoder over packets or a simple pcap, and reads rows back as one would write them."""

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.address import decode_ip, decode_mac
from tracer.core.schema import BY_NAME, StructuredArray, null_of
from tracer.sources.decode.rows import DecodedFrames, Decoder
from tracer.sources.frames import FRAME_DTYPE


def decode_frames(
    data: NDArray[np.uint8], frames: StructuredArray, linktypes: NDArray[np.int32]
) -> DecodedFrames:
    """Return the rows of one window."""
    decoder = Decoder()
    decoder.add(data, frames, linktypes, 1)
    return decoder.finish()


def decoded(
    packets: Sequence[bytes],
    linktype: int = 1,
    wire: Sequence[int] | None = None,
    times: Sequence[int] | None = None,
) -> DecodedFrames:
    """Decode packets of one link; `wire` gives lengths on the wire, if more than captured."""
    frames = np.zeros(len(packets), FRAME_DTYPE)
    frames["cap_len"] = [len(packet) for packet in packets]
    frames["wire_len"] = frames["cap_len"] if wire is None else wire
    frames["offset"][1:] = np.cumsum(frames["cap_len"])[:-1]
    frames["direction"] = -1
    if times is not None:
        frames["time_ns"] = times
    data = np.frombuffer(b"".join(packets), np.uint8)
    return decode_frames(data, frames, np.array([linktype], np.int32))


def value(decoded: DecodedFrames, row: int, name: str) -> Any:
    """Return one column of a row, None for null; a section's column by the same way."""
    record: Any = decoded.packets[row]
    if name not in decoded.packets.dtype.names and f"{name}_hi" not in decoded.packets.dtype.names:
        section = next(
            s
            for s in decoded.sections.values()
            if name in s.dtype.names or f"{name}_hi" in s.dtype.names
        )
        place = np.searchsorted(section["row"], row)
        if place == len(section) or section["row"][place] != row:
            return None
        record = section[place]
    return _read(record, name)


def _read(record: Any, name: str) -> Any:
    column = BY_NAME[name]
    if column.kind == "ip":
        return decode_ip(int(record[f"{name}_hi"]), int(record[f"{name}_lo"]))
    number = int(record[name])
    if column.kind == "mac":
        return decode_mac(number)
    return None if number == null_of(column) else number


def records(path: Path) -> tuple[int, list[bytes], list[int], list[int]]:
    """Return link type, packets, lengths on the wire and times of a plain pcap; our own reader."""
    raw = path.read_bytes()
    order = "<" if raw[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    scale = 1 if raw[:4] in (b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\x3c\x4d") else 1000
    (linktype,) = struct.unpack(order + "I", raw[20:24])
    packets, wire, times, at = [], [], [], 24
    while at + 16 <= len(raw):
        seconds, fraction, captured, length = struct.unpack(order + "IIII", raw[at : at + 16])
        packets.append(raw[at + 16 : at + 16 + captured])
        wire.append(length)
        times.append(seconds * 1_000_000_000 + fraction * scale)
        at += 16 + captured
    return linktype, packets, wire, times
