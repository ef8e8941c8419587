"""The compiled loop over packets: frames in, rows and sparse section records out."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.jit import inner_plain, jit_plain
from tracer.core.schema import PACKET_DTYPE, StructuredArray, null_record
from tracer.sources.decode import cursor as at
from tracer.sources.decode.linktypes import link
from tracer.sources.decode.load import prefetch
from tracer.sources.decode.packet import layers

Words = NDArray[np.int64]

# Where rows come from; `point` of a row is an index into an array of these until it is named.
ORIGIN_DTYPE = np.dtype(
    [
        ("interface", "<i4"),  # the frame's
        ("ifindex", "<i8"),  # Linux SLL2 and NFLOG say it in every packet; -1 unknown
        ("direction", "<i8"),  # core.point.Direction
        ("hook", "<i8"),  # netfilter hook, an index into nflog.HOOKS; -1 none
        ("late", "<i8"),  # not 0 where times are when packets were read (nflog.LATE)
    ]
)

# Rows of `used`: how many records of each output a call has filled.
TUNNELS, ARPS, QUOTES, ORIGINS = range(4)

_MAX_LENGTH = 0x7FFF_FFFF
_UNKNOWN_LINKTYPE = -1
_AHEAD = 12  # packets


def as_words(rows: StructuredArray) -> Words:
    """Return the same memory as int64, shape (n, 24): null records are copied word by word."""
    return rows.view(np.int64).reshape(len(rows), -1)


def null_words(capture: int = -1) -> Words:
    """Return a null record of a capture as words."""
    null = null_record(PACKET_DTYPE)
    null["capture"] = capture
    words: Words = as_words(null)[0]
    return words


@jit_plain
def fill(
    data: NDArray[np.uint8],
    frames: StructuredArray,
    linktypes: NDArray[np.int32],
    first_frame: int,
    rows: StructuredArray,
    words: Words,
    null: Words,
    tunnels: StructuredArray,
    arps: StructuredArray,
    quotes: StructuredArray,
    origins: StructuredArray,
    cursors: StructuredArray,
    used: NDArray[np.int64],
) -> None:
    """Fill `rows`, shape (n,), from `frames`, shape (n,).

    `words` is `rows` as int64 and `null` a null record so. `tunnels`, `arps` and `quotes`, null
    and shape (n,), get the sparse records in turn, their `row` counted from 0 here; `origins`,
    shape (n,), the distinct origins. `used`, shape (4,), is left with how many of each there are.
    `cursors` is shape (1,).
    """
    cursor = cursors[0]
    base: Any = np.int64(data.ctypes.data)
    last = len(frames) - 1
    for i in range(len(frames)):
        _ahead(base, frames[min(i + _AHEAD, last)].offset)
        for k in range(null.size):
            words[i, k] = null[k]
        row = rows[i]
        row.frame = first_frame + i
        tunnel, arp, quote = tunnels[used[TUNNELS]], arps[used[ARPS]], quotes[used[QUOTES]]
        linktype = _start(data.size, frames[i], linktypes, row, cursor)
        link(base, row, cursor, linktype)
        layers(base, row, cursor, tunnel, arp, quote)
        row.point = _origin(origins, used, frames[i].interface, cursor)
        if cursor.tunnels > 0:
            tunnel.row = i
            used[TUNNELS] += 1
        if cursor.arp > 0:
            arp.row = i
            used[ARPS] += 1
        if cursor.quoted > 0:
            quote.row = i
            used[QUOTES] += 1


@inner_plain
def _ahead(base: int, offset: int) -> None:
    # Packets lie too far apart for the processor to guess the next; 100 ns each, without this.
    prefetch(base, offset)
    prefetch(base, offset + 64)
    prefetch(base, offset + 128)


@inner_plain
def _start(size: int, frame: Any, linktypes: NDArray[np.int32], row: Any, cursor: Any) -> Any:
    # Take over what the container says; nothing beyond the data is ever read, whatever it claims.
    row.time_ns = frame.time_ns
    row.cap_len = frame.cap_len
    row.wire_len = min(frame.wire_len, _MAX_LENGTH)
    start = min(max(frame.offset, 0), size)
    end = min(start + max(frame.cap_len, 0), size)
    cursor.position = start
    cursor.captured_end = end
    cursor.wire_end = max(end, start + frame.wire_len)
    cursor.layer = at.DONE
    cursor.kind = 0
    cursor.continued = 0
    cursor.tags = 0
    cursor.tunnels = 0
    cursor.datagram = 0
    cursor.arp = 0
    cursor.quoted = 0
    cursor.direction = frame.direction
    cursor.ifindex = -1
    cursor.hook = -1
    cursor.late = 0
    known = 0 <= frame.interface < len(linktypes)
    return np.int64(linktypes[frame.interface]) if known else _UNKNOWN_LINKTYPE


@inner_plain
def _origin(origins: StructuredArray, used: NDArray[np.int64], interface: int, cursor: Any) -> Any:
    # Captures have few origins, so a search from the first is short.
    count = used[ORIGINS]
    for k in range(count):
        origin = origins[k]
        if (
            origin.interface == interface
            and origin.direction == cursor.direction
            and origin.ifindex == cursor.ifindex
            and origin.hook == cursor.hook
            and origin.late == cursor.late
        ):
            return k
    origins[count].interface = interface
    origins[count].direction = cursor.direction
    origins[count].ifindex = cursor.ifindex
    origins[count].hook = cursor.hook
    origins[count].late = cursor.late
    used[ORIGINS] = count + 1
    return count
