"""Where a clock was set: the cut after which what packets say of its error is on another level."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tracer.correlate.clocks.drift import Floats, Sides, top

Times = NDArray[np.int64]
DRIFTS = (0.0, -2e-5, 2e-5, -5e-5, 5e-5, -1e-4, 1e-4, -2e-4, 2e-4)  # tried to find a step
ROUNDS = 3  # in which the step and the drift around it are found from each other
SET_BY_NS = 1_000_000  # at least, where a clock was set


def step_at(x: Floats, y: Floats, way: Times, whole: float, rounded_ns: float) -> int | None:
    """Return where to cut so that both parts leave the widest corridor; None where no cut helps.

    Samples in order of time: `x` since some origin, `y` how far the clock was ahead then (ns);
    `way` as in `fit.Delays`; `whole`: the width of the corridor without a cut. A clock that
    is set drifts before and after alike. By `rounded_ns` stamps may be out of order in any case.
    """
    tried = [(float(_widths(y - drift * x, way).max()), drift) for drift in DRIFTS]
    drift = max(tried)[1]
    for _ in range(ROUNDS):
        at = int(np.argmax(_widths(y - drift * x, way))) + 1
        drift = top(_narrower(x, y, way, at))
    level = y - drift * x
    width = _widths(level, way)
    # Where a clock was set several times, one cut leaves the parts as contradictory as before, but
    # for what it was set by.
    if not width.max() > max(whole, -rounded_ns) and not width.max() > whole + SET_BY_NS:
        return None
    return _nearest(level, np.flatnonzero(width == width.max()) + 1)


def _widths(level: Floats, way: Times) -> Floats:
    # The narrower corridor of the two parts for each cut, -inf where one of them has none.
    high = np.where(way > 0, level, np.inf)
    low = np.where(way < 0, level, -np.inf)
    ahead = np.minimum.accumulate(high) - np.maximum.accumulate(low)
    behind = np.minimum.accumulate(high[::-1])[::-1] - np.maximum.accumulate(low[::-1])[::-1]
    width: Floats = np.minimum(ahead[:-1], behind[1:])
    width[~np.isfinite(width)] = -np.inf
    return width


def _narrower(x: Floats, y: Floats, way: Times, at: int) -> Callable[[float], float]:
    # The narrower corridor of the two parts for each drift.
    both, here = np.stack([x, y]), way > 0
    parts = [
        Sides(both[:, part][:, here[part]], both[:, part][:, ~here[part]])
        for part in (slice(None, at), slice(at, None))
    ]
    return lambda drift: min(sides.width(drift) for sides in parts)


def _nearest(level: Floats, cuts: NDArray[np.int64]) -> int:
    # Of cuts that leave equal corridors the one after which samples are on the level of what
    # follows: a packet that seems to have been on its way for as long as the clock was set by was
    # stamped after it.
    first, last = int(cuts[0]), int(cuts[-1])
    between = level[first:last]
    before = np.abs(between - np.median(level[:first]))
    after = np.abs(between - np.median(level[last:]))
    costs = np.r_[0.0, np.cumsum(before)] + np.r_[np.cumsum(after[::-1])[::-1], 0.0]
    return int(cuts[np.argmin(costs[cuts - first])])
