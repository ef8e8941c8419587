"""One more value mixed into a 64-bit hash: compiled, and for whole columns."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.jit import inner_plain

Keys = NDArray[np.uint64]

#: 2**64 divided by the golden ratio: the upper bits of a product with it are spread well, however
#: the numbers lie (Knuth, The Art of Computer Programming, 6.4: Fibonacci hashing).
GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@inner_plain
def mix(h: Any, value: Any) -> Any:
    """Return the hash `h` (uint64) with one more value mixed in (a 64-bit multiply and shift)."""
    h = (h ^ np.uint64(value)) * GOLDEN
    return h ^ (h >> np.uint64(29))


def mixed(hashes: Keys, values: NDArray[Any]) -> Keys:
    """Return hashes with a column mixed in, vectorised as `mix` does it."""
    out: Keys = np.bitwise_xor(hashes, values, dtype=np.uint64, casting="unsafe")
    out *= GOLDEN  # arrays overflow without a word
    out ^= out >> np.uint64(29)
    return out
