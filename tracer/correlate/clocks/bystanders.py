"""Bystanders: places where a hub or a mirror port shows frames that go on elsewhere.

A copy is on its way to nobody, and may be late. That the packet had gone less far where it shows
does not say that it was there before. On the way itself, what goes there takes some time and so
does what comes back, whatever the clocks say: of any two frames, one each way, the difference of
the stamps is larger for the same way. Where that is not so, one of both places is a bystander.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.mixing import mixed
from tracer.correlate.clocks.drift import MOST_DRIFT
from tracer.correlate.clocks.outliers import MOST_SHARE
from tracer.correlate.hashing import Codes, Keys, factorise, pair_keys
from tracer.correlate.nat.doubt import NULL

ROUNDED_NS = 2_000  # stamps of packets that took no time may be out of order by as much
FEWEST = 5  # pairs of frames, one each way, of which one has to contradict the others, or none


def misleading(
    packets: Any, place: Codes, time: NDArray[np.int64], left: Codes, right: Codes
) -> NDArray[np.bool_]:
    """Return which samples (rows `left` and `right`) say nothing of clocks, shape (samples,).

    Of a bystander these are all but those of packets that came from a router, compared with where
    they had been before that router. Nor do those of two places on one link say anything if frames
    do not tell which of them is first.
    """
    src, dst = packets["src_mac"], packets["dst_mac"]
    ends = [_between(src[rows], dst[rows]) for rows in (left, right)]
    known = (dst[left] != NULL) & (dst[right] != NULL)
    pair = mixed(mixed(pair_keys(place[left], place[right]), ends[0]), ends[1])
    key, first = factorise(pair)
    up = src[left] < dst[left]
    is_line, is_none = _judged(key, len(first), up & known, ~up & known, time[left], time[right])
    # Of each place and each two stations that talk there.
    at = [
        mixed(end, place[rows].astype(np.uint64))
        for end, rows in zip(ends, (left, right), strict=True)
    ]
    code, where = factorise(np.concatenate(at))
    count = len(where)
    lines = np.bincount(code, np.tile(is_line[key], 2), count) > 0
    none = np.bincount(code, np.tile(is_none[key], 2), count) > 0
    bystander = (none & ~lines)[code].reshape(2, -1)
    further = packets["ttl"][left].astype(np.int64) - packets["ttl"][right]
    found: NDArray[np.bool_] = (bystander[0] & (further >= 0)) | (bystander[1] & (further <= 0))
    # To all others a mirror port is where the port is that it mirrors: of these two neither is
    # before the other.
    found |= is_none[key] & (further == 0)
    return found


def _between(src: Keys, dst: Keys) -> Keys:
    # A hash of two stations, whoever sends.
    return mixed(np.minimum(src, dst), np.maximum(src, dst))


def _judged(
    key: Codes, keys: int, up: NDArray[np.bool_], down: NDArray[np.bool_], stamp: Any, other: Any
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    # Of each key whether its two places are on a way, and whether they are not: shapes (keys,).
    rows = np.flatnonzero(up | down)
    rows = rows[np.lexsort((stamp[rows], key[rows]))]
    a, b = rows[:-1], rows[1:]
    turned = (key[a] == key[b]) & (up[a] != up[b])
    a, b = a[turned], b[turned]
    apart = (other[b] - stamp[b]) - (other[a] - stamp[a])
    apart = np.where(up[b], apart, -apart)
    margin = ROUNDED_NS + MOST_DRIFT * (stamp[b] - stamp[a])
    later = np.bincount(key[a][apart > margin], minlength=keys)
    earlier = np.bincount(key[a][apart < -margin], minlength=keys)
    wrong, right = np.minimum(later, earlier), np.maximum(later, earlier)
    enough = right >= FEWEST
    contradicted = wrong > MOST_SHARE * (wrong + right)
    return enough & ~contradicted, enough & contradicted
