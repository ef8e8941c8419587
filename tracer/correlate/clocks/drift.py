"""How fast one clock runs away from another: the line that delays both ways leave most room for.

Below the samples of one way, and above those of the other, runs one line each, of one slope: least
delays. Between them is the corridor of the clock's error.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tracer.core.jit import jit

Floats = NDArray[np.float64]
MOST_DRIFT = 500e-6  # quartz is off by 100 ppm at most; room for virtual machines
ABOUT = 0.003  # of the corridor's width
NOTABLE = 0.2
FEWEST = 8


@dataclass(frozen=True, slots=True)
class Sides:
    """Samples of one way (`x`, `y`) and the other: time, and how far ahead the clock was then (ns).

    `here` is error plus delay, `there` error minus delay, each of shape (2, samples).
    """

    here: Floats
    there: Floats

    @property
    def are_both(self) -> bool:
        """Whether both ways were seen."""
        return bool(self.here.size and self.there.size)

    @property
    def tell_drift(self) -> bool:
        """Whether both ways were seen, and more than a few packets."""
        return self.are_both and self.here.shape[1] + self.there.shape[1] >= FEWEST

    def corridor(self, drift: float) -> tuple[float, float]:
        """Return between what the error at time 0 lies; infinite where no packet says it."""
        low, high = _corridor(self.here, self.there, drift)
        return low, high

    def width(self, drift: float) -> float:
        """Return how wide the corridor is, negative where no line of that slope explains all."""
        low, high = self.corridor(drift)
        return high - low

    def widened(self, here_ns: Floats, there_ns: Floats) -> "Sides":
        """Return them with the known clock off by as much, of each sample of one way and other."""
        (x, y), (other_x, other_y) = self.here, self.there
        return Sides(np.stack([x, y + here_ns]), np.stack([other_x, other_y - there_ns]))

    def outermost(self) -> "Sides":
        """Return them without the samples that no line of any slope touches first; x ascends."""
        here, there = np.ascontiguousarray(self.here), np.ascontiguousarray(self.there)
        return Sides(here[:, _lowest(here, 1.0)], there[:, _lowest(there, -1.0)])

    def room(self, drift: float) -> float:
        """Return the area between the lines, each over the time in which its way was seen.

        Up to a constant, and in widths over the longer time. Where both ways were seen all the time
        that is the corridor's width; one that was seen for a short time only says little of drift.
        Of sides that are `outermost`: the first and the last sample are at the ends of that time.
        """
        low, high = self.corridor(drift)
        spans = [side[0, -1] - side[0, 0] for side in (self.here, self.there)]
        middle = [(side[0, 0] + side[0, -1]) / 2 for side in (self.here, self.there)]
        area = spans[0] * (high + drift * middle[0]) - spans[1] * (low + drift * middle[1])
        return float(area / max(*spans, 1.0))


@jit
def _corridor(here: Floats, there: Floats, drift: float) -> tuple[float, float]:
    low, high = -np.inf, np.inf
    for i in range(there.shape[1]):
        low = max(low, there[1, i] - drift * there[0, i])
    for i in range(here.shape[1]):
        high = min(high, here[1, i] - drift * here[0, i])
    return low, high


@jit
def _lowest(side: Floats, sign: float) -> NDArray[np.int64]:
    # The corners of the lower hull of points (Andrew's monotone chain), the ends included; of the
    # upper one for a `sign` of -1.
    found = np.empty(side.shape[1], np.int64)
    count = 0
    for i in range(side.shape[1]):
        while count > 1:
            a, b = found[count - 2], found[count - 1]
            nearer = (side[0, b] - side[0, a]) * (side[1, i] - side[1, a])
            further = (side[1, b] - side[1, a]) * (side[0, i] - side[0, a])
            if sign * nearer > sign * further:
                break
            count -= 1
        found[count] = i
        count += 1
    return found[:count].copy()


def drift_of(sides: Sides) -> float:
    """Return the drift (ns per ns) that leaves most room, 0 where that explains about as much."""
    if not sides.tell_drift:
        return 0.0
    sides = sides.outermost()
    widest = top(sides.width)
    width = sides.width(widest)
    if width <= 0:
        return widest
    best = _nearest(top(sides.room), widest, lambda drift: sides.width(drift) >= width / 2)
    if sides.width(0.0) > 0 and sides.room(best) - sides.room(0.0) < NOTABLE * width:
        return 0.0
    # Of drifts that leave about as much room the smallest is meant.
    enough = sides.room(best) - ABOUT * width
    return _nearest(0.0, best, lambda drift: sides.room(drift) >= enough and sides.width(drift) > 0)


def drifts_of(sides: Sides, drift: float) -> tuple[float, float]:
    """Return the least and the largest drift that packets leave possible, beside the one found.

    Least delays of a way do not grow or shrink by more than the corridor is wide.
    """
    outer = sides.outermost()
    enough = outer.room(drift) - max(outer.width(drift), 0.0)

    def fits(other: float) -> bool:
        return outer.width(other) >= 0 and outer.room(other) >= enough

    return _nearest(-MOST_DRIFT, drift, fits), _nearest(MOST_DRIFT, drift, fits)


def tightest(parts: Sequence[Sides]) -> Sides | None:
    """Return those of several sides with the narrowest corridor, None where none has one."""
    known = [sides for sides in parts if sides.tell_drift]
    if len(known) < 2:
        return known[0] if known else None
    widths = [outer.width(top(outer.width)) for outer in (sides.outermost() for sides in known)]
    return known[int(np.argmin(widths))]


def top(value: Callable[[float], float]) -> float:
    """Return the drift for which a concave function is largest, by ternary search."""
    low, high = -MOST_DRIFT, MOST_DRIFT
    for _ in range(50):
        a, b = low + (high - low) / 3, high - (high - low) / 3
        if value(a) < value(b):
            low = a
        else:
            high = b
    return (low + high) / 2


def _nearest(wanted: float, known: float, fits: Callable[[float], bool]) -> float:
    # What is nearest to the wanted drift of those between it and the known one, which fits.
    if fits(wanted):
        return wanted
    low, high = 0.0, 1.0
    for _ in range(20):
        share = (low + high) / 2
        if fits(wanted + share * (known - wanted)):
            high = share
        else:
            low = share
    return wanted + high * (known - wanted)
