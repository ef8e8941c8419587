"""Clocks that packets compare one way only: what they are off by is bounded from one side.

A packet arrives after it left, so one way bounds the offset by the least delay, and leaves open
whether the packets took that long or the clocks differ. Who goes back another way may close the
circle: from A to B, from B to C and from C to A bounds all three.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tracer.correlate.clocks.equal_packets import take_as_long
from tracer.correlate.clocks.samples import Samples
from tracer.correlate.hashing import Codes, unite

Times = NDArray[np.int64]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
NOTHING_NS = 1_000_000  # stamps are not trusted to less; what is open by less leaves nothing open
FEW = 0.05  # of the samples of one way may be wrong
MOST_SPREAD_NS = 20_000_000  # of the time that packets take


@dataclass(frozen=True, slots=True)
class Sides:
    """What is open of clocks, by scale (shape (scales,)).

    `side` (int64): equal where packets bound both clocks from both sides. `near` (int64): equal
    where that is so, or stamps leave no doubt; between others, if packets compare them, equal ones
    of other links may be `far_ns` from the usual time. `is_open`: whether packets bound it from one
    side only against the clock that others are compared with; `samples`, how many do. `moved_ns`
    (int64): how much later its stamps are than if the quickest packets took no time, where equal
    ones seem to take as long as those.
    """

    side: Codes
    near: Codes
    is_open: Mask
    samples: Codes
    moved_ns: Codes
    far_ns: int = 0

    def groups(self, names: list[str]) -> list[tuple[str, ...]]:
        """Return the names of clocks that are bounded from both sides, of each side."""
        found: dict[int, list[str]] = {}
        for side, name in zip(self.side.tolist(), names, strict=True):
            found.setdefault(side, []).append(name)
        return [tuple(dict.fromkeys(each)) for each in found.values()]


def sides_of(
    samples: Samples, scale: Codes, time: Times, member: Codes, first: int, far_ns: int,
    known: Sequence[tuple[int, int]], equal: tuple[tuple[Codes, Codes], Codes],
) -> Sides:  # fmt: skip
    """Return what samples leave open of clocks whose stamps in `time` are aligned.

    `member`: of each scale, equal where stamps are believed as they are; others were moved, so that
    their quickest packets, which may have taken up to `far_ns`, take no time. `first`: the scale
    the others are compared with; `known`: pairs of scales that are bounded from both sides anyway.
    `equal`: groups of rows of equal fingerprint, and the spot of each row. `far_ns` of the result
    is 0 where nothing is open that matters.
    """
    count = len(member)
    ways, both = _ways(samples, scale, time, count)
    side = _united(np.arange(count), (*both, *known))
    zeros = np.zeros(count, np.int64)
    if not len(ways.start):
        return Sides(side, side, zeros > 0, zeros, zeros)
    side = _with_circles(side, ways)
    # What is about nothing as it was stamped is no accident: clocks agree, and the way is short.
    agree = (member[ways.start] == member[ways.end]) & (ways.least_ns < NOTHING_NS)
    near = _united(side, zip(side[ways.start[agree]], side[ways.end[agree]], strict=True))
    across = side[ways.start] != side[ways.end]
    found = zeros.copy()
    for end in (ways.start, ways.end):
        np.add.at(found, end[across], ways.packets[across])
    bound = _between(ways.least_ns.astype(np.float64), side, ways)
    bound[bound < NOTHING_NS] = 0.0
    asked = np.where(np.isfinite(bound), bound, 0.0).astype(np.int64)
    if asked.any():
        usual = (2 * ways.spread_ns + NOTHING_NS).astype(np.float64)
        spread = np.minimum(_between(usual, side, ways), MOST_SPREAD_NS)
        spread = np.minimum(spread, asked / 2).astype(np.int64)
        alike = take_as_long(*equal, time, side[scale], asked, spread)
        bound[(asked > 0) & ~alike] = 0.0
    sizes = np.bincount(side, np.bincount(scale, minlength=count), count).astype(np.int64)
    sizes[side[first]] = len(scale) + 1
    moved, begun = _moved(bound, sizes)
    matters = (near[ways.start] != near[ways.end]).any()
    return Sides(
        side, near, ~begun[side], found, np.round(moved).astype(np.int64)[side],
        far_ns if matters else 0,
    )  # fmt: skip


class _Ways(NamedTuple):
    """From which scale to which packets went, how many, and the least time that took by the stamps.

    `spread_ns`: how much longer it took half of them.
    """

    start: Codes
    end: Codes
    packets: Codes
    least_ns: Times
    spread_ns: Times


def _ways(
    samples: Samples, scale: Codes, time: Times, count: int
) -> tuple[_Ways, list[tuple[int, int]]]:
    # The ways between scales that packets compare one way only, and the other pairs. Of packets of
    # one link that all went one way the stamps' order is believed.
    pair = scale[samples.left] * count + scale[samples.right]
    ahead, back, seen = (np.zeros(count * count, np.bool_) for _ in range(3))
    ahead[pair[samples.sign > 0]] = back[pair[samples.sign < 0]] = True
    seen[pair] = True
    both = np.flatnonzero(ahead & back)
    pairs = list(zip(*(ends.tolist() for ends in np.divmod(both, count)), strict=True))
    rows = np.empty(0, np.int64)
    if len(both) < np.count_nonzero(seen):
        one = ahead ^ back
        rows = np.flatnonzero(np.where(samples.sign != 0, one[pair], ~(ahead | back)[pair]))
    pair = pair[rows]
    left, right = np.divmod(pair, count)
    apart = time[samples.right[rows]] - time[samples.left[rows]]
    sign = samples.sign[rows].astype(np.int64)
    later = np.bincount(pair, weights=np.sign(apart))
    sign = np.where(sign != 0, sign, np.where(later[pair] >= 0, 1, -1))
    took = apart * sign
    order = np.lexsort((took, pair))
    _, starts, counts = np.unique(pair[order], return_index=True, return_counts=True)
    heads, took = order[starts], took[order]
    low = took[starts + (FEW * counts).astype(np.int64)] - NOTHING_NS
    least = np.maximum(took[starts], low)
    start = np.where(sign > 0, left, right)[heads]
    end = np.where(sign > 0, right, left)[heads]
    return _Ways(start, end, counts, least, took[starts + counts // 2] - least), pairs


def _united(number: Codes, pairs: Iterable[tuple[int, int]]) -> Codes:
    # The numbers with those of each pair made one: the least one that is among them.
    found, ends = number.copy(), np.array(list(pairs), np.int64).reshape(-1, 2)
    if len(ends):
        unite(found, ends[:, 0], ends[:, 1])
    return found


def _with_circles(side: Codes, ways: _Ways) -> Codes:
    # The sides with those made one from which packets came back, by way of whichever others.
    reached = np.eye(len(side), dtype=np.bool_)
    reached[side[ways.start], side[ways.end]] = True
    for via in range(len(reached)):
        reached |= reached[:, via : via + 1] & reached[via]
    found: Codes = (reached & reached.T).argmax(axis=1)[side]
    return found


def _between(values: Floats, side: Codes, ways: _Ways) -> Floats:
    # The least value from each side to each other one; inf where there is none.
    found = np.full((len(side), len(side)), np.inf)
    np.minimum.at(found, (side[ways.start], side[ways.end]), values)
    np.fill_diagonal(found, np.inf)
    return found


def _moved(bound: Floats, sizes: Codes) -> tuple[Floats, Mask]:
    # How far each side is moved so that the quickest packets between them take no time, beginning
    # with the largest one and going on with the nearest; and which ones were begun with.
    done, begun = np.zeros(len(sizes), np.bool_), np.zeros(len(sizes), np.bool_)
    moved, reach = np.zeros(len(sizes)), np.full(len(sizes), np.inf)
    near = np.minimum(bound, bound.T)
    for _ in range(len(sizes)):
        chosen = int(np.argmin(np.where(done, np.inf, reach)))
        if done[chosen] or not np.isfinite(reach[chosen]):
            chosen = int(np.argmax(np.where(done, -1, sizes)))
            begun[chosen] = True
        else:
            here, there = bound[done, chosen] + moved[done], moved[done] - bound[chosen, done]
            moved[chosen] = here.min() if np.isfinite(here).any() else there.max()
        done[chosen] = True
        reach = np.minimum(reach, near[chosen])
    return moved, begun
