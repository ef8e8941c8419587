"""What is known of clocks before packets of a window are compared: from other windows, or a look.

Captures that are read in windows of time cannot be read side by side by stamps that are seconds off
each other: what belongs together would not be in one window.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from tracer.core.journeys import ClockEstimate
from tracer.core.point import Point


def scale_name(point: Point) -> str:
    """Return the name of the clock of a point; a capture of no known host has one of its own."""
    return point.clock_name if point.clock or point.host else point.name


@dataclass(slots=True)
class KnownClocks:
    """What is added to stamps of clocks, by name, so that they are on the scale of `reference`.

    `estimates`: the latest of each clock that was found to be off. `bound`: pairs of clocks that
    packets bounded from both sides.
    """

    reference: str | None = None
    added_ns: dict[str, int] = field(default_factory=dict)
    estimates: dict[str, ClockEstimate] = field(default_factory=dict)
    bound: set[tuple[str, str]] = field(default_factory=set)

    def copy(self) -> "KnownClocks":
        """Return the same, to learn on from."""
        return KnownClocks(
            self.reference, dict(self.added_ns), dict(self.estimates), set(self.bound)
        )

    def bound_pairs(self, names: Sequence[str]) -> list[tuple[int, int]]:
        """Return `bound` as pairs of places among some names."""
        at = {name: place for place, name in enumerate(names)}
        return [(at[one], at[other]) for one, other in self.bound if one in at and other in at]

    def learn(
        self, reference: str | None, estimates: Iterable[ClockEstimate], added_ns: dict[str, int],
        bound: Iterable[tuple[str, ...]] = (),
    ) -> None:  # fmt: skip
        """Know what a window's packets said; `added_ns` holds for its last stamps.

        `bound`: clocks that they bounded from both sides, those together that they did.
        """
        self.reference = self.reference or reference
        self.added_ns.update(added_ns)
        for estimate in estimates:
            if estimate.clock in added_ns:
                self.estimates[estimate.clock] = estimate
        for names in bound:
            self.bound.update(pairwise(names))


def shifts(added_ns: dict[str, int], points: Sequence[Point]) -> NDArray[np.int64]:
    """Return what is added to stamps at each point, and 0 for the point -1, shape (points + 1,)."""
    return np.array([*(added_ns.get(scale_name(point), 0) for point in points), 0], np.int64)
