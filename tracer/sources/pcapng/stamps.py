"""pcapng time stamps of any resolution as nanoseconds, in integers throughout."""

import numpy as np

from tracer.core.jit import jit_plain

UNKNOWN = -1
_SECOND = 1_000_000_000
_LAST_SECOND = 9_223_372_035  # the last whole one that int64 nanoseconds hold
# Later than the latest that pcap holds (the year 2106), or before 1970, is no time of a packet; and
# of times that are further apart int64 does not hold twice the difference.
_SECONDS = 1 << 32


@jit_plain
def to_ns(high: int, low: int, is_binary: int, exponent: int, offset_s: int) -> int:
    """Return nanoseconds since the epoch; -1 for a time before 1970, or after 2106.

    `high` and `low` are the 32-bit halves of the stamp, which counts units of 2**-exponent or
    10**-exponent seconds (if_tsresol); `offset_s` is if_tsoffset.
    """
    stamp = np.uint64(high) << np.uint64(32) | np.uint64(low)
    if is_binary:
        seconds, nanos = _binary(stamp, exponent)
    else:
        seconds, nanos = _decimal(stamp, exponent)
    if seconds > _LAST_SECOND or not -_LAST_SECOND <= offset_s <= _LAST_SECOND:
        return UNKNOWN
    seconds += offset_s
    if not 0 <= seconds < _SECONDS:
        return UNKNOWN
    return seconds * _SECOND + nanos


@jit_plain
def _decimal(stamp: np.uint64, exponent: int) -> tuple[int, int]:
    if exponent > 19:  # 10**20 does not fit, nor does any stamp reach a second
        nanos = stamp
        for _ in range(exponent - 9):
            nanos //= np.uint64(10)
        return 0, int(np.int64(nanos))
    units = np.uint64(1)
    for _ in range(exponent):
        units *= np.uint64(10)
    seconds, rest = stamp // units, stamp % units
    for _ in range(exponent, 9):
        rest *= np.uint64(10)
    for _ in range(9, exponent):
        rest //= np.uint64(10)
    return _bounded(seconds), int(np.int64(rest))


@jit_plain
def _binary(stamp: np.uint64, exponent: int) -> tuple[int, int]:
    seconds, rest = np.uint64(0), stamp
    if exponent < 64:
        seconds = stamp >> np.uint64(exponent)
        rest = stamp - (seconds << np.uint64(exponent))
    # rest * 10**9 >> exponent, in halves of 32 bits as it may take 94.
    upper = (rest >> np.uint64(32)) * np.uint64(_SECOND)
    lower = (rest & np.uint64(0xFFFF_FFFF)) * np.uint64(_SECOND)
    if exponent < 32:
        return _bounded(seconds), int(np.int64(lower >> np.uint64(exponent)))
    upper += lower >> np.uint64(32)
    if exponent >= 96:
        return 0, 0
    return _bounded(seconds), int(np.int64(upper >> np.uint64(exponent - 32)))


@jit_plain
def _bounded(seconds: np.uint64) -> int:
    return int(np.int64(min(seconds, np.uint64(_LAST_SECOND + 1))))
