"""Hashes and groupings of whole columns, compiled."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.jit import inner, inner_plain, jit, jit_plain
from tracer.core.mixing import GOLDEN

Codes = NDArray[np.int64]
Keys = NDArray[np.uint64]


@inner
def filled(count: int, value: int) -> Codes:
    """Return `count` int64 of one value; compiles in a fraction of the time of `np.full`."""
    out = np.empty(count, np.int64)
    for i in range(count):
        out[i] = value
    return out


@inner_plain
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


_LOW, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)
# How many distinct keys the first table has room for, and how many times as many the next one:
# a table that is no larger than it must be stays in the processor's cache.
_FEW, _GROWTH = 2048, 4


@inner
def _table(keys: Keys, firsts: Codes, count: int, size: int) -> Keys:
    # A slot holds the lower half of a key's product and its code + 1 (0: free), so that hardly any
    # other key is looked at. At least half of the slots stay free.
    slots = np.zeros(size, np.uint64)
    for code in range(count):
        product = keys[firsts[code]] * GOLDEN
        at: Any = np.int64((product >> _HALF) * np.uint64(size) >> _HALF)
        while slots[at]:
            at = at + 1 if at + 1 < size else 0
        slots[at] = product << _HALF | np.uint64(code + 1)
    return slots


@inner_plain
def _number(
    keys: Keys, codes: Codes, firsts: Codes, slots: Keys, row: int, count: int, most: int
) -> tuple[int, int]:
    # Codes for the keys from `row` on, until `most` are distinct; `count` were before.
    size = len(slots)
    while row < len(keys) and count < most:
        product = keys[row] * GOLDEN
        tag = product << _HALF
        at: Any = np.int64((product >> _HALF) * np.uint64(size) >> _HALF)
        while True:
            slot = slots[at]
            if slot == 0:
                codes[row], firsts[count] = count, row
                count += 1
                slots[at] = tag | np.uint64(count)
                break
            if slot & ~_LOW == tag and keys[firsts[np.int64(slot & _LOW) - 1]] == keys[row]:
                codes[row] = np.int64(slot & _LOW) - 1
                break
            at = at + 1 if at + 1 < size else 0
        row += 1
    return row, count


@jit
def factorise(keys: Keys) -> tuple[Codes, Codes]:
    """Return (codes, firsts): a dense code for each key, and the row each code appeared at first.

    Codes are int64 in order of appearance, shape (rows,); `keys` are uint64.
    """
    codes = np.empty(len(keys), np.int64)
    firsts = np.empty(len(keys), np.int64)
    none: Any = np.int64(0)  # not a literal, for which `_number` would be compiled apart
    row, count, most = none, none, none + _FEW
    while row < len(keys):
        slots = _table(keys, firsts, count, 2 * most)
        row, count = _number(keys, codes, firsts, slots, row, count, most)
        most *= _GROWTH
    return codes, firsts[:count].copy()


def are_among(keys: Keys, others: Keys) -> NDArray[np.bool_]:
    """Return whether each key is one of others, as `np.isin` does: where many are equal, faster."""
    codes, where = factorise(keys)
    found: NDArray[np.bool_] = np.isin(keys[where], others)[codes]
    return found


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


def at_share(codes: Codes, values: Codes, groups: int, share: float) -> Codes:
    """Return for each group the least value that so much of its values do not exceed, int64.

    `codes`: the group of each value; 0 where a group has none. Shape (groups,).
    """
    order, starts = grouped(codes, groups)
    found = np.zeros(groups, np.int64)
    for group in np.flatnonzero(np.diff(starts)).tolist():
        mine = values[order[starts[group] : starts[group + 1]]]
        rank = max(math.ceil(len(mine) * share) - 1, 0)
        found[group] = np.partition(mine, rank)[rank]
    return found


@inner_plain
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


@jit_plain
def union(parent: Codes, first: Codes, second: Codes) -> None:
    """Join the trees of pairs of items, in place; the root of each tree is its least item."""
    for i in range(len(first)):
        a, b = find(parent, first[i]), find(parent, second[i])
        parent[max(a, b)] = min(a, b)


def unite(numbers: Codes, first: Codes, second: Codes) -> None:
    """Make one, the least of them, of numbers that pairs connect, in place; -1 stays as it is.

    `first`, `second`: (pairs,), numbers of 0 and more.
    """
    apart = first != second
    if not apart.any():
        return
    parent = np.arange(int(max(numbers.max(), first.max(), second.max())) + 1)
    for a, b in zip(first[apart].tolist(), second[apart].tolist(), strict=True):
        a, b = find_root(parent, a), find_root(parent, b)
        parent[max(a, b)] = min(a, b)
    used = numbers >= 0
    numbers[used] = roots(parent)[numbers[used]]


def pair_keys(first: Codes, second: Codes) -> Keys:
    """Return one uint64 for each pair of non-negative int64 below 2**32."""
    keys: Keys = first.astype(np.uint64)
    keys <<= np.uint64(32)
    return np.bitwise_or(keys, second, out=keys, dtype=np.uint64, casting="unsafe")
