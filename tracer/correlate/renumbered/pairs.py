"""Each two rows of equal keys, where not too many have them."""

import numpy as np
from numpy.typing import NDArray

from tracer.core.jit import jit
from tracer.core.mixing import mixed
from tracer.correlate.hashing import Codes, Keys

#: Of so many rows of one key at most each two are compared.
_MOST = 6


@jit
def _pairs(key: Keys, most: int) -> tuple[Codes, Codes, NDArray[np.bool_]]:
    # Each two places of equal keys, which are sorted, and which keys more than `most` share.
    crowded = np.zeros(len(key), np.bool_)
    stops = np.empty(len(key), np.int64)  # of each place where its key ends, or the place itself
    count, start = 0, 0
    while start < len(key):
        stop = start + 1
        while stop < len(key) and key[stop] == key[start]:
            stop += 1
        size = stop - start
        for i in range(start, stop):
            crowded[i] = size > most
            stops[i] = i if size > most else stop
        if size <= most:
            count += size * (size - 1) // 2
        start = stop
    first, second = np.empty(count, np.int64), np.empty(count, np.int64)
    at = 0
    for i in range(len(key)):
        for j in range(i + 1, stops[i]):
            first[at], second[at] = i, j
            at += 1
    return first, second, crowded


def pairs_of(key: Keys, flow: Keys) -> tuple[Codes, Codes]:
    """Return (first, second) of each two of equal `key`, places in it; `flow` of each.

    Where many have one key, only those of one flow are paired. Keys are sorted.
    """
    first, second, crowded = _pairs(key, _MOST)
    many = np.flatnonzero(crowded)
    named = mixed(key[many], flow[many])
    order = np.argsort(named, kind="stable")
    many = many[order]
    again = _pairs(named[order], _MOST)
    return np.concatenate([first, many[again[0]]]), np.concatenate([second, many[again[1]]])
