"""Times of whole journeys and exchanges, and how journeys spread over time."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.enums import LOST, Outcome
from tracer.core.journeys import UNTIMED, JourneySet, untimed

_STEPS = (1, 2, 5)
_BINS = 120


def round_trips(journey_set: JourneySet) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return (request, ns until its reply) where the reply ended at the device the request began.

    Both are of shape (n,); requests are journey indices.
    """
    journeys = journey_set.journeys
    replies = np.flatnonzero((journeys["request"] >= 0) & (journeys["n_hops"] > 0))
    requests = journeys["request"][replies].astype(np.int64)
    points = journey_set.observations.packets["point"][journey_set.hops["row"]]
    device = _devices(journey_set)[points]
    first = device[journeys["first_hop"][requests]]
    last = device[journeys["first_hop"][replies] + journeys["n_hops"][replies] - 1]
    taken = journeys["last_ns"][replies] - journeys["first_ns"][requests]
    unknown = untimed(journeys)
    chosen = (first == last) & (first >= 0) & (taken >= 0)
    chosen &= ~(unknown[replies] | unknown[requests])
    return requests[chosen], taken[chosen]


def _devices(journey_set: JourneySet) -> NDArray[np.int64]:
    # One number a device, whatever the direction; the last entry is for an unknown point.
    codes: dict[Any, int] = {}
    for point in journey_set.observations.points:
        codes.setdefault((point.host, point.netns, point.name), len(codes))
    numbers = [codes[p.host, p.netns, p.name] for p in journey_set.observations.points]
    return np.array([*numbers, -1], np.int64)


@dataclass(frozen=True, slots=True)
class Timeline:
    """Journeys by when they began: bins of `width_ns` from `start_ns` on, counts each (bins,)."""

    start_ns: int
    width_ns: int
    arrived: tuple[int, ...]
    lost: tuple[int, ...]
    other: tuple[int, ...]


def timeline_of(journey_set: JourneySet) -> Timeline | None:
    """Return at most 120 bins of a round width over all journeys that begin at a known time, None
    where there are none.

    `other` are neither delivered nor lost: unfinished, answered elsewhere, not observable.
    """
    journeys = journey_set.journeys
    journeys = journeys[journeys["first_ns"] != UNTIMED]
    if not len(journeys):
        return None
    first = journeys["first_ns"]
    earliest = int(first.min())
    width = round_width((int(first.max()) - earliest) // _BINS + 1)
    start = earliest - earliest % width
    # Divided first: stamps of a damaged capture may be further apart than 64 bits can say.
    bins = first // width - start // width
    count = int(bins.max()) + 1
    is_lost = np.isin(journeys["outcome"], LOST)
    arrived = journeys["outcome"] == Outcome.DELIVERED
    kinds = (arrived, is_lost, ~(arrived | is_lost))
    counts = (tuple(np.bincount(bins[kind], minlength=count).tolist()) for kind in kinds)
    return Timeline(start, width, *counts)


def round_width(least: int) -> int:
    """Return the smallest of 1, 2, 5, 10, 20 … nanoseconds that is not below `least`."""
    power = 1
    while power * 10 < least:
        power *= 10
    return next((step * power for step in _STEPS if step * power >= least), power * 10)
