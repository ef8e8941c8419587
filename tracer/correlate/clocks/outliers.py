"""Samples that no clock explains: of packets that did not go the way their TTLs tell.

A switch that does not know where a station is floods what is for it; a router may pass such a
packet on before its other copies have come to where they end. Their TTL is higher, their stamp
later. A few samples like that leave no line between the delays of both ways.
"""

import numpy as np
from numpy.typing import NDArray

from tracer.correlate.clocks.drift import MOST_DRIFT, Sides

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
FEWEST = 50
MOST_SHARE = 0.02  # of all samples; more are not a few that went astray
MOST_SAMPLES = 20_000  # that the line is found from
NEIGHBOURS = 15  # of one way, in time
NEARLY_ALL = 0.9
LAST = 3  # wrong ones at the end
_GRID, _FINER = 41, 11


def contradicting(sides: Sides, rounded_ns: float) -> tuple[Mask, Mask]:
    """Return which samples of each way are on the wrong side of the line that suits most.

    Shapes (samples of that way,); by more than stamps are rounded by. None are where many would be,
    nor where all of one way are for a while: the clock was stepped.
    """
    here, there = (np.zeros(side.shape[1], np.bool_) for side in (sides.here, sides.there))
    count = len(here) + len(there)
    if not sides.are_both or count < FEWEST:
        return here, there
    (x, y), (other_x, other_y) = sides.here, sides.there
    wide = Sides(np.stack([x, y + rounded_ns]), np.stack([other_x, other_y - rounded_ns]))
    every = 1 + count // MOST_SAMPLES
    drift, error = _line(Sides(wide.here[:, ::every], wide.there[:, ::every]))
    wrong = (wide.here[1] - drift * x < error, wide.there[1] - drift * other_x > error)
    if sum(side.sum() for side in wrong) > MOST_SHARE * count or any(map(_is_step, wrong)):
        return here, there
    return wrong


def _line(sides: Sides) -> tuple[float, float]:
    # Drift and error with which most samples agree, found on finer and finer grids.
    low, high, steps = -MOST_DRIFT, MOST_DRIFT, _GRID
    best = (-1, 0.0, 0.0)
    for _ in range(4):
        drifts = np.linspace(low, high, steps)
        found = [(*_most_agree(sides, float(drift)), float(drift)) for drift in drifts]
        # Of several that suit as many the one in the middle.
        most = max(agree for agree, *_ in found)
        equal = [each for each in found if each[0] == most]
        agree, error, drift = equal[len(equal) // 2]
        if agree > best[0]:
            best = (agree, error, drift)
        step = (high - low) / (steps - 1)
        low, high, steps = best[2] - step, best[2] + step, _FINER
    return best[2], best[1]


def _most_agree(sides: Sides, drift: float) -> tuple[int, float]:
    # With how many samples an error agrees at best, and the middle of where that is so.
    here = np.sort(sides.here[1] - drift * sides.here[0])
    there = np.sort(sides.there[1] - drift * sides.there[0])
    bounds = np.concatenate([here, there])
    agree = len(here) - np.searchsorted(here, bounds) + np.searchsorted(there, bounds, "right")
    most = int(agree.max())
    suits = bounds[agree == most]
    return most, float((suits.min() + suits.max()) / 2)


def _is_step(wrong: Mask) -> bool:
    # Whether nearly all of some samples in a row are wrong, which are in order of time, or all of
    # the last few: until the end of what was captured. At its beginning much is flooded.
    right = np.flatnonzero(~wrong)
    if len(wrong) - 1 - right.max(initial=-1) >= LAST:
        return True
    around = np.convolve(wrong, np.ones(NEIGHBOURS), "valid") if len(wrong) >= NEIGHBOURS else wrong
    return bool(around.max(initial=0) > NEARLY_ALL * NEIGHBOURS)
