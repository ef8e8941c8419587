"""What the compiled walks over capture files share: numbers of either byte order, and counters."""

import numpy as np
from numpy.typing import NDArray

from tracer.core.jit import jit_plain


@jit_plain
def load32(data: NDArray[np.uint8], at: int, swapped: bool) -> int:
    """Return the unsigned 32-bit number at an offset as int64; `swapped` is big-endian."""
    a, b = np.int64(data[at]), np.int64(data[at + 1])
    c, d = np.int64(data[at + 2]), np.int64(data[at + 3])
    if swapped:
        return int(a << 24 | b << 16 | c << 8 | d)
    return int(d << 24 | c << 16 | b << 8 | a)


@jit_plain
def load16(data: NDArray[np.uint8], at: int, swapped: bool) -> int:
    """Return the unsigned 16-bit number at an offset as int64; `swapped` is big-endian."""
    a, b = np.int64(data[at]), np.int64(data[at + 1])
    return int(a << 8 | b) if swapped else int(b << 8 | a)


@jit_plain
def note(counts: NDArray[np.int64], which: int, found: bool, at: int) -> None:
    """Count a finding in counts[0, which]; counts[1, which] keeps the offset of the first."""
    if found:
        if counts[0, which] == 0:
            counts[1, which] = at
        counts[0, which] += 1
