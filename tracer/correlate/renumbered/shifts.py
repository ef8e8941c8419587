"""By how much the numbers of a connection are shifted from one side to another, where many say so.

A shift counts if segments of different bytes agree on it, with their acknowledgements, nearly none
that the two sides share says otherwise, and each of them kept something besides its bytes.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.mixing import mixed
from tracer.correlate.hashing import Codes, Keys, factorise, pair_keys
from tracer.correlate.renumbered.segments import Shared

ENOUGH = 3  # segments of different bytes that agree ...
ENOUGH_OF_ONE_TUPLE = 2  # ... or, where no address changed, one each way: each shows both shifts
_OTHERS = 8  # of so many segments one may be shifted otherwise
_NEAR_NS = 500_000_000  # segments are not on their way for much longer than others
_NEAR_SHARE = 0.8


@dataclass(slots=True)
class Shifts:
    """Two sides a record, `a` < `b`, shapes (n,); `turned`, `shift` as in `Shared`.

    `sure`: whether it is beyond doubt; what is not may only cast doubt on others. `one_tuple`:
    whether both sides have the same addresses and ports.
    """

    a: Codes
    b: Codes
    turned: Codes
    shift: Codes
    sure: NDArray[np.bool_]
    one_tuple: NDArray[np.bool_]

    def take(self, which: Codes) -> "Shifts":
        """Return the chosen records."""
        return Shifts(*(getattr(self, name)[which] for name in self.__slots__))

    def places_of(self, shared: Shared) -> Codes:
        """Return which of the shared segments are shifted as their sides are here."""
        found: Codes = np.flatnonzero(np.isin(_keys(shared), _keys(self)))
        return found


def _keys(sides: Shifts | Shared) -> Keys:
    key = mixed(mixed(np.full(len(sides.a), 31, np.uint64), sides.a), sides.b)
    key = mixed(key, sides.turned)
    for column in range(4):
        key = mixed(key, sides.shift[:, column])
    return key


def _distinct(group: Codes, value: Keys, which: NDArray[np.bool_], groups: int) -> Codes:
    # Of each group how many values there are of the records chosen.
    keys = mixed(value[which], group[which])
    _, firsts = factorise(keys)
    found: Codes = np.bincount(group[which][firsts], minlength=groups)
    return found


def shifts_of(packets: Any, shared: Shared, flow: Keys, time: Codes) -> Shifts:
    """Return the shift that most segments of each two sides have; `flow`, `time` of each row."""
    group, firsts = factorise(_keys(shared))
    pair, _ = factorise(pair_keys(shared.a, shared.b))
    digest = packets["payload_digest"][shared.first]
    groups = len(firsts)
    every = np.ones(len(group), np.bool_)
    segments = _distinct(group, digest, every, groups)
    told = _distinct(group, digest, shared.told, groups)
    each_way = [_distinct(group, digest, shared.told & (shared.way == w), groups) for w in (0, 1)]
    same = flow[shared.first] == flow[shared.second]
    one_tuple = np.bincount(group[same], minlength=groups) > 0
    of_pair = _distinct(pair, digest, every, int(pair.max(initial=-1)) + 1)[pair[firsts]]
    moved = (shared.shift[firsts, :2] != 0).any(axis=1)
    sure = (told >= ENOUGH) | (
        one_tuple & (told >= ENOUGH_OF_ONE_TUPLE) & (each_way[0] > 0) & (each_way[1] > 0)
    )
    sure &= moved & (_OTHERS * (of_pair - segments) <= segments)
    sure &= _are_near(shared, group, time, groups)
    kept = np.flatnonzero(moved & (told >= ENOUGH_OF_ONE_TUPLE))
    at = firsts[kept]
    return Shifts(
        shared.a[at], shared.b[at], shared.turned[at], shared.shift[at], sure[kept],
        one_tuple[kept],
    )  # fmt: skip


def _are_near(shared: Shared, group: Codes, time: Codes, groups: int) -> NDArray[np.bool_]:
    # Whether most segments of each group take about as long as the median, each way: the clocks of
    # two sides may differ by anything, by about the same for all.
    took = time[shared.second] - time[shared.first]
    of = 2 * group + shared.way
    order = np.lexsort((took, of))
    count = np.bincount(of, minlength=2 * groups)
    starts = np.cumsum(count) - count
    median = np.zeros(2 * groups, np.int64)
    there = count > 0
    median[there] = took[order[(starts + count // 2)[there]]]
    near = np.bincount(of[np.abs(took - median[of]) <= _NEAR_NS], minlength=2 * groups)
    fine: NDArray[np.bool_] = near >= _NEAR_SHARE * count
    return fine[0::2] & fine[1::2]
