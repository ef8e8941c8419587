"""The `followed` map seen from user space: flow keys that are known before their packets come."""

import mmap
from typing import TYPE_CHECKING, Any

from tracer.sources.live import syscalls
from tracer.sources.live.event_layout import BLOOM_BITS, FLOW_KEY_FIELDS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_STATE = bytes(16)  # struct flow_state, zeros
_GOLDEN, _SECOND, _THIRD = 0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9


def bloom_bit(keys: "NDArray[Any]") -> "NDArray[np.uint64]":
    """Return the bit of each key in `followed_bits`, shape (n,): bloom_bit() of bpf/flow."""
    import numpy as np

    key = {name: keys[name].astype(np.uint64) for name, _, _ in FLOW_KEY_FIELDS}
    u64 = np.uint64
    rest = key["sport"] << u64(32) | key["dport"] << u64(16) | key["proto"] << u64(8) | key["kind"]
    found = (key["src_lo"] + key["src_hi"] * u64(31)) * u64(_GOLDEN)
    found ^= (key["dst_lo"] + key["dst_hi"] * u64(31)) * u64(_SECOND)
    found += rest * u64(_THIRD)
    found ^= found >> u64(29)
    return (found * u64(_GOLDEN)) >> u64(64 - BLOOM_BITS)


class FlowBits:
    """The bit set that spares most packets a look into `followed`, mapped into this process."""

    def __init__(self, fd: int) -> None:
        self._map = mmap.mmap(fd, (1 << BLOOM_BITS) // 8)

    def set(self, bits: "NDArray[np.uint64]") -> None:
        """Set bits."""
        for bit in bits.tolist():
            self._map[bit >> 3] |= 1 << (bit & 7)

    def close(self) -> None:
        """Unmap the bit set."""
        self._map.close()


def add_keys(followed: int, bits: FlowBits, keys: "NDArray[Any]") -> None:
    """Put keys (FLOW_KEY_DTYPE) into the map `followed`, a descriptor, and its bit set."""
    bits.set(bloom_bit(keys))
    for key in keys:
        syscalls.map_update(followed, key.tobytes(), _STATE)
