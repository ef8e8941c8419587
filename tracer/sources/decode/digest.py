"""The payload digest: equal bytes give equal digests, whatever the capture length of the file."""

from typing import Any

import numpy as np

from tracer.core.jit import inner_plain
from tracer.sources.decode.load import Bytes, be32, le64, u8

# Enough to hold a ping's time stamp or a sequence number in a payload, and to be captured by most.
DIGEST_BYTES = 128
NO_SACK = 1  # `tcp_sack` of a header without SACK blocks

# Multipliers of MurmurHash3's 64-bit finaliser (public domain).
_MIX_1 = np.uint64(0xFF51AFD7ED558CCD)
_MIX_2 = np.uint64(0xC4CEB9FE1A85EC53)
_SHIFT = np.uint64(32)


@inner_plain
def digest(data: Bytes, start: int, length: int) -> Any:
    """Return a 64-bit hash, uint64 and never 0, of `length` bytes and of the length itself."""
    value = np.uint64(length) * _MIX_2
    whole = length // 8
    for k in range(whole):
        value = (value ^ le64(data, start + 8 * k)) * _MIX_1
        value ^= value >> _SHIFT
    tail = np.uint64(0)
    for k in range(8 * whole, length):
        tail = tail << np.uint64(8) | np.uint64(u8(data, start + k))
    value = (value ^ tail) * _MIX_1
    value = (value ^ value >> _SHIFT) * _MIX_2
    value ^= value >> _SHIFT
    return value if value != np.uint64(0) else np.uint64(1)


@inner_plain
def sack_digest(data: Bytes, start: int, length: int, ack: Any) -> Any:
    """Return a 64-bit hash, uint64 and above NO_SACK, of SACK blocks of `length` bytes.

    It is of how far their edges are from what is acknowledged: something on the way that shifts
    a connection's numbers shifts both alike.
    """
    value = np.uint64(length) * _MIX_2
    for k in range(length // 4):
        edge = np.uint64((be32(data, start + 4 * k) - ack) & 0xFFFFFFFF)
        value = (value ^ edge) * _MIX_1
        value ^= value >> _SHIFT
    value = (value ^ value >> _SHIFT) * _MIX_2
    value ^= value >> _SHIFT
    return value if value > np.uint64(NO_SACK) else np.uint64(NO_SACK + 1)


@inner_plain
def payload(data: Bytes, row: Any, cursor: Any) -> None:
    """Fill `payload_len` and `payload_digest` from what follows the cursor.

    The digest covers the first DIGEST_BYTES bytes of the payload (all of it, when shorter) and is
    null when the capture holds fewer: one packet never has two digests that differ. An empty
    payload has the digest of no bytes.
    """
    left = cursor.wire_end - cursor.position
    if left < 0:
        return
    row.payload_len = left
    length = min(left, DIGEST_BYTES)
    if cursor.position + length <= cursor.captured_end:
        row.payload_digest = digest(data, cursor.position, length)
