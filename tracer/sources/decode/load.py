"""Big-endian numbers from a byte array.

Indexes are unsigned, so that numba does not test for negative ones and LLVM makes one load of each.
The caller has compared the offset with the cursor's `captured_end`.
"""

import numpy as np
from numpy.typing import NDArray

from tracer.sources.jit import jit

Bytes = NDArray[np.uint8]


@jit
def u8(data: Bytes, at: int) -> int:
    """Return the byte at an offset, int64."""
    return np.int64(data[np.uint64(at)])


@jit
def be16(data: Bytes, at: int) -> int:
    """Return the 16-bit number at an offset, int64."""
    i = np.uint64(at)
    return np.int64(data[i]) << 8 | np.int64(data[i + np.uint64(1)])


@jit
def be32(data: Bytes, at: int) -> int:
    """Return the 32-bit number at an offset, int64 and never negative."""
    return be16(data, at) << 16 | be16(data, at + 2)


@jit
def be48(data: Bytes, at: int) -> int:
    """Return the MAC at an offset, uint64."""
    return np.uint64(be16(data, at) << 32 | be32(data, at + 2))


@jit
def be64(data: Bytes, at: int) -> int:
    """Return half an IPv6 address at an offset, uint64."""
    return np.uint64(be32(data, at)) << np.uint64(32) | np.uint64(be32(data, at + 4))


@jit
def le64(data: Bytes, at: int) -> int:
    """Return the eight bytes at an offset as a little-endian uint64."""
    word = np.uint64(0)
    i = np.uint64(at)
    for k in range(8):
        word |= np.uint64(data[i + np.uint64(k)]) << np.uint64(8 * k)
    return word
