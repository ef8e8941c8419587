"""Which journeys belong together: a packet, its reply, the reply to that, and errors about them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.journeys import JourneySet


def exchange_roots(journey_set: JourneySet) -> NDArray[np.int64]:
    """Return the journey each journey's exchange starts with (itself when it starts one), (n,)."""
    journeys = journey_set.journeys
    parent = np.where(journeys["request"] >= 0, journeys["request"], journeys["quotes"])
    return _roots(parent.astype(np.int64))


def exchange_order(
    journey_set: JourneySet, chosen: NDArray[np.integer[Any]] | None = None
) -> list[NDArray[np.int64]]:
    """Return the chosen journeys (all by default), an array an exchange, both in time order.

    An exchange whose start is not chosen begins with the first chosen journey.
    """
    count = len(journey_set.journeys)
    numbers = np.arange(count) if chosen is None else np.sort(np.asarray(chosen, np.int64))
    if len(numbers) == 0:
        return []
    first_ns = journey_set.journeys["first_ns"]
    roots = exchange_roots(journey_set)[numbers]
    starts = np.full(count, np.iinfo(np.int64).max)
    np.minimum.at(starts, roots, first_ns[numbers])
    order = np.lexsort((first_ns[numbers], numbers != roots, roots, starts[roots]))
    numbers, roots = numbers[order], roots[order]
    return np.split(numbers, np.flatnonzero(np.diff(roots)) + 1)


def first_exchanges(
    journey_set: JourneySet, chosen: NDArray[np.int64], count: int | None
) -> tuple[NDArray[np.int64], int]:
    """Return the chosen journeys of the first `count` exchanges (None: all), and how many they are.

    `chosen` and what is returned are ascending indices; exchanges are not counted where all stay.
    """
    if count is None or not len(chosen):
        return chosen, 0
    exchanges = exchange_order(journey_set, chosen)[:count]
    kept = np.sort(np.concatenate(exchanges)) if exchanges else chosen[:0]
    return kept, len(exchanges)


def _roots(parent: NDArray[np.int64]) -> NDArray[np.int64]:
    # Pointer jumping: each round doubles the distance covered. A ring (two journeys that name each
    # other) has no root; its members then share the smallest one that was passed.
    own = np.arange(len(parent))
    root = np.where(parent >= 0, parent, own)
    for _ in range(max(1, len(parent).bit_length())):
        further = root[root]
        if np.array_equal(further, root):
            return root
        root = np.where(parent >= 0, further, own)
    return np.minimum(root, root[root])
