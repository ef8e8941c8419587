"""Frames in flight: the columns a decoder would give them, and what only the simulation knows."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tracer.core.address import encode_ip
from tracer.core.schema import PACKET_DTYPE, SECTION_DTYPES, StructuredArray, null_record

META_DTYPE = np.dtype(
    [
        ("packet", "<i8"),  # truth: equal in all observations of one packet
        ("flow", "<i8"),  # truth: the flow, both directions, whatever NAT makes of its tuple
        ("true_ns", "<i8"),  # time on the perfect clock
        ("stream", "<u8"),  # what the payload bytes are: byte p is a function of (stream, p)
        ("offset", "<i8"),  # of the first payload byte in that stream
        ("sack", "<u8"),  # the SACK block a TCP header has, left edge << 32 | right edge; 0 none
        ("quoted", "<i4"),  # how many bytes of a payload an error quotes
        ("place", "<i4"),  # how many observation points were crossed, captured or not
        ("last_point", "<i4"),  # the last of them
        ("wire", "?"),  # one of the segments of a super-packet
    ]
)

_M1 = np.uint64(0xBF58476D1CE4E5B9)
_M2 = np.uint64(0x94D049BB133111EB)


def mix(value: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the splitmix64 finaliser of each value, shape kept."""
    value = value + np.uint64(0x9E3779B97F4A7C15)
    value = (value ^ (value >> np.uint64(30))) * _M1
    value = (value ^ (value >> np.uint64(27))) * _M2
    return value ^ (value >> np.uint64(31))


def ip4(text: str) -> int:
    """Return the low half of an IPv4 address (the high half is 0)."""
    return encode_ip(text)[1]


@dataclass(slots=True)
class Frames:
    """Rows of frames: `packets` PACKET_DTYPE, `meta` META_DTYPE, and sections as dense arrays.

    A section's record counts where its `row` is 0; it is absent where `row` is -1.
    """

    packets: StructuredArray
    meta: StructuredArray
    sections: dict[str, StructuredArray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.packets)

    def take(self, index: NDArray[np.generic]) -> "Frames":
        """Return copies of the chosen rows (a mask or row numbers)."""
        return Frames(
            self.packets[index].copy(),
            self.meta[index].copy(),
            {name: section[index].copy() for name, section in self.sections.items()},
        )

    def copy(self) -> "Frames":
        """Return a copy that shares nothing."""
        return self.take(np.arange(len(self)))

    def section(self, name: str) -> StructuredArray:
        """Return a section to write into, made absent everywhere when it was not there."""
        if name not in self.sections:
            self.sections[name] = absent(name, len(self))
        return self.sections[name]

    def set_ip(self, name: str, text: str) -> None:
        """Set an address column (`src` or `dst`) of all rows."""
        self.packets[f"{name}_hi"], self.packets[f"{name}_lo"] = encode_ip(text)


def absent(name: str, rows: int) -> StructuredArray:
    """Return a section of `rows` records, none of them there."""
    section = np.repeat(null_record(SECTION_DTYPES[name]), rows)
    section["row"] = -1
    return section


def blank(rows: int) -> Frames:
    """Return frames with every column null."""
    meta = np.zeros(rows, META_DTYPE)
    meta["last_point"] = -1
    return Frames(np.repeat(null_record(PACKET_DTYPE), rows), meta)


def join(parts: Sequence[Frames]) -> Frames:
    """Return all rows of all parts, in the given order."""
    if not parts:
        return blank(0)
    names = sorted({name for part in parts for name in part.sections})
    return Frames(
        np.concatenate([part.packets for part in parts]),
        np.concatenate([part.meta for part in parts]),
        {
            name: np.concatenate(
                [part.sections.get(name, absent(name, len(part))) for part in parts]
            )
            for name in names
        },
    )


def measure(frames: Frames) -> None:
    """Set `ip_len` of IP rows from the header sizes and `payload_len`."""
    p = frames.packets
    l4 = np.select(
        [p["frag_offset"] > 0, p["proto"] == 6, np.isin(p["proto"], (1, 17, 58))],
        [0, 20 + 12 * (p["tcp_tsval"] >= 0) + 12 * (frames.meta["sack"] > 0), 8],
        0,
    )
    fragment6 = (p["ip_version"] == 6) & ((p["frag_offset"] > 0) | (p["more_fragments"] == 1))
    head = np.where(p["ip_version"] == 6, 40 + 8 * fragment6, 20)
    p["ip_len"] = np.where(p["ip_version"] > 0, head + l4 + p["payload_len"], -1)
