"""Clocks that are wrong: offset, drift, steps, stamping noise."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SECOND = 1_000_000_000
EPOCH = 1_700_000_000 * SECOND  # when every scenario begins on the perfect clock


@dataclass(frozen=True, slots=True)
class Clock:
    """`offset_ns` at EPOCH, `drift_ppm` after it, `steps` of (true time, nanoseconds added)."""

    offset_ns: int = 0
    drift_ppm: float = 0.0
    steps: tuple[tuple[int, int], ...] = ()
    noise_ns: int = 0
    resolution_ns: int = 1

    def error(self, true_ns: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return how far ahead of the truth the clock reads, noise aside, nanoseconds."""
        off = self.offset_ns + ((true_ns - EPOCH) * (self.drift_ppm * 1e-6)).astype(np.int64)
        for at, delta in self.steps:
            off = off + np.where(true_ns >= at, delta, 0)
        return off

    def stamp(self, true_ns: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """Return the stamps the clock gives, int64 nanoseconds, shape kept."""
        noise = rng.exponential(self.noise_ns, len(true_ns)).astype(np.int64)
        stamps = true_ns + self.error(true_ns) + noise
        return stamps - stamps % self.resolution_ns
