"""From the kernel's monotonic clock to UTC: sampled in brackets, and sampled again."""

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

_TRIES = 16
_KNOTS = 64


def sample() -> tuple[int, int, int]:
    """Return (monotonic_ns, realtime_ns - monotonic_ns, uncertainty_ns) of one instant.

    The wall clock is read between two readings of the monotonic clock; of several tries the one
    with the narrowest bracket is kept, and half that bracket is the uncertainty.
    """
    best = (0, 0, 1 << 62)
    for _ in range(_TRIES):
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        wall = time.clock_gettime_ns(time.CLOCK_REALTIME)
        after = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        middle = (before + after) // 2
        if after - before < best[2]:
            best = (middle, wall - middle, after - before)
    return best[0], best[1], (best[2] + 1) // 2


class Clock:
    """Turns event times into UTC nanoseconds; between samples the offset is interpolated.

    Interpolation keeps times in order: two events never change places because they were drained
    apart. A step of the wall clock shows as `steps` and as times that jump with it.
    """

    def __init__(self) -> None:
        self.uncertainty_ns = 0
        self.steps = 0
        self._knots: list[tuple[int, int]] = []
        self.resample()

    def resample(self) -> None:
        """Take another sample; call after draining, so that every event lies between samples."""
        at, offset, self.uncertainty_ns = sample()
        if self._knots and abs(offset - self._knots[-1][1]) > 10_000_000:
            self.steps += 1
        self._knots = [*self._knots[-_KNOTS:], (at, offset)]

    @property
    def offset_ns(self) -> int:
        """What was last to be added to a monotonic time to get UTC, nanoseconds."""
        return self._knots[-1][1]

    def epoch_ns(self, ktime: NDArray[Any]) -> NDArray[np.int64]:
        """Return UTC epoch nanoseconds (int64) of monotonic times (uint64 ns), same shape."""
        times, offsets = (np.array(column, np.int64) for column in zip(*self._knots, strict=True))
        mono = ktime.astype(np.int64)
        # Relative to the first knot: float64 would round the whole number of nanoseconds.
        drift = np.interp(
            (mono - times[0]).astype(np.float64),
            (times - times[0]).astype(np.float64),
            (offsets - offsets[0]).astype(np.float64),
        )
        utc: NDArray[np.int64] = mono + offsets[0] + np.rint(drift).astype(np.int64)
        return utc
