"""Hashes and groupings of whole columns, compiled."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.jit import inner, jit

Codes = NDArray[np.int64]
Keys = NDArray[np.uint64]


@inner
def filled(count: int, value: int) -> Codes:
    """Return `count` int64 of one value; compiles in a fraction of the time of `np.full`."""
    out = np.empty(count, np.int64)
    for i in range(count):
        out[i] = value
    return out


@inner
def first_at_least(keys: Keys, key: Any) -> int:
    """Return where sorted keys stop being less than `key`: as `np.searchsorted`, compiled fast."""
    low, high = 0, len(keys)
    while low < high:
        middle = (low + high) >> 1
        if keys[middle] < key:
            low = middle + 1
        else:
            high = middle
    return low


@inner
def _grown(slots: Any) -> Any:
    # A table four times as large: key and code side by side, -1 for no code.
    bigger = np.empty((len(slots) * 4, 2), np.int64)
    for slot in range(len(bigger)):
        bigger[slot, 1] = -1
    mask = np.uint64(len(bigger) - 1)
    for i in range(len(slots)):
        if slots[i, 1] >= 0:
            slot = _slot(np.uint64(slots[i, 0]), bigger)
            while bigger[slot, 1] >= 0:
                slot = (slot + np.uint64(1)) & mask
            bigger[slot, 0], bigger[slot, 1] = slots[i, 0], slots[i, 1]
    return bigger


@inner
def _slot(key: Any, slots: Any) -> Any:
    # The upper bits of the product, which all bits of the key have a part in (Fibonacci hashing).
    spread = key * np.uint64(0x9E3779B97F4A7C15)
    return (spread >> np.uint64(32)) * np.uint64(len(slots)) >> np.uint64(32)


@jit
def factorise(keys: Keys) -> tuple[Codes, Codes]:
    """Return (codes, firsts): a dense code for each key, and the row each code appeared at first.

    Codes are int64 in order of appearance, shape (rows,); `keys` are uint64.
    """
    codes = np.empty(len(keys), np.int64)
    firsts = np.empty(max(len(keys), 1), np.int64)
    slots = np.empty((256, 2), np.int64)
    for slot in range(len(slots)):
        slots[slot, 1] = -1
    mask = np.uint64(len(slots) - 1)
    count = 0
    for row in range(len(keys)):
        key = np.int64(keys[row])
        at = _slot(keys[row], slots)
        while slots[at, 1] >= 0 and slots[at, 0] != key:
            at = (at + np.uint64(1)) & mask
        if slots[at, 1] < 0:
            slots[at, 0], slots[at, 1] = key, count
            firsts[count] = row
            codes[row] = count
            count += 1
            if count * 2 > len(slots):
                slots = _grown(slots)
                mask = np.uint64(len(slots) - 1)
        else:
            codes[row] = slots[at, 1]
    return codes, firsts[:count].copy()


@jit
def grouped(codes: Codes, groups: int) -> tuple[Codes, Codes]:
    """Return (order, starts): rows gathered by code, in row order inside a group (counting sort).

    Group g is `order[starts[g] : starts[g + 1]]`; rows with a negative code are left out.
    """
    starts = np.zeros(groups + 1, np.int64)
    for row in range(len(codes)):
        if codes[row] >= 0:
            starts[codes[row] + 1] += 1
    for group in range(groups):
        starts[group + 1] += starts[group]
    place = starts[:-1].copy()
    order = np.empty(starts[groups], np.int64)
    for row in range(len(codes)):
        if codes[row] >= 0:
            order[place[codes[row]]] = row
            place[codes[row]] += 1
    return order, starts


@inner
def find(parent: Codes, item: int) -> int:
    """Return the root of an item in a union-find forest, halving the path on the way."""
    while parent[item] != item:
        parent[item] = parent[parent[item]]
        item = parent[item]
    return item


def find_root(parent: Codes, item: int) -> int:
    """Return the root of an item, as `find` does, for callers that are not compiled."""
    while parent[item] != item:
        item = int(parent[item])
    return item


@jit
def roots(parent: Codes) -> Codes:
    """Return the root of every item of a union-find forest."""
    out = np.empty(len(parent), np.int64)
    for item in range(len(parent)):
        out[item] = find(parent, item)
    return out


def pair_keys(first: Codes, second: Codes) -> Keys:
    """Return one uint64 for each pair of non-negative int64 below 2**32."""
    left = first.astype(np.uint64) << np.uint64(32)
    keys: Keys = left | second.astype(np.uint64)
    return keys
