"""Where the packets of a capture lie: what container readers hand to the decoder."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tracer.core.schema import StructuredArray

FRAME_DTYPE = np.dtype(
    [
        ("offset", "<i8"),  # first byte of the packet's data in the buffer handed over with it
        ("time_ns", "<i8"),  # UTC epoch; -1 where the container gives no stamp
        ("cap_len", "<i4"),  # bytes captured, all of them in the buffer
        ("wire_len", "<i8"),  # bytes on the wire, as the container claims (unsigned 32 bit there)
        ("interface", "<i4"),  # index into the capture's interfaces, over all sections
        ("direction", "i1"),  # core.point.Direction where the container says so, else -1
    ]
)
FRAMES_PER_WINDOW = 1 << 16


@dataclass(slots=True)
class Window:
    """A stretch of a capture: bytes and the packets that lie wholly inside them.

    `data` is shape (bytes,) uint8 and valid only until the next window is asked for; `frames` has
    FRAME_DTYPE with offsets into `data`; `linktypes` is int32 per interface known so far;
    `first_frame` is the 1-based number of the first packet in the file.
    """

    data: NDArray[np.uint8]
    frames: StructuredArray
    linktypes: NDArray[np.int32]
    first_frame: int


@dataclass(slots=True)
class Interface:
    """An interface a capture was made on, as far as the container describes it."""

    linktype: int
    name: str | None = None
    dropped: int | None = None  # packets the kernel or the capturing program lost, if it says so
    mac: int | None = None  # its own address
    clock: str | None = None  # what stamped its packets, where `tracer offline` wrote the file
    first_ns: int = -1  # stamps of its first and last packet so far; -1 none
    last_ns: int = -1
    gone: int = 0  # packets that `gaps` have told of so far, and those given out before
    told_ns: int = -1  # until when they have told; -1: nothing yet
    gaps: list[tuple[int, int, int]] = field(default_factory=list)  # (from, to, packets lost)
