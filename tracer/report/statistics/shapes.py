"""Shapes: the ways journeys took, each told once however many journeys took it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tracer.core.journeys import JourneySet
from tracer.core.mixing import GOLDEN
from tracer.report.statistics.places import Places, hop_places


@dataclass(frozen=True, slots=True)
class Shapes:
    """`of_journey` (journeys,) numbers each journey's shape; `example` (shapes,) is its first
    journey; `counts` (shapes,) how many journeys have it.
    """

    of_journey: NDArray[np.int64]
    example: NDArray[np.int64]
    counts: NDArray[np.int64]


def shapes_of(journey_set: JourneySet, places: Places, *, ways_only: bool = False) -> Shapes:
    """Return the shapes: journeys through equal places in equal order, most frequent first.

    Unless `ways_only`, the directions, causes and evidence at each hop are equal as well.
    """
    hops = journey_set.hops
    parts = [hop_places(journey_set, places)]
    if not ways_only:
        parts += [hops[name].astype(np.int64) for name in ("parent", "cause", "evidence")]
        parts += [hops["direction"].astype(np.int64)]
    digest = hops["n"].astype(np.uint64)
    for part in parts:
        digest = _mixed(digest * GOLDEN + (part + 2).astype(np.uint64))
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(digest, dtype=np.uint64)])
    first = journey_set.journeys["first_hop"]
    keys = sums[first + journey_set.journeys["n_hops"]] - sums[first]
    _, example, codes, counts = np.unique(
        keys, return_index=True, return_inverse=True, return_counts=True
    )
    order = np.argsort(-counts, kind="stable")
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return Shapes(rank[codes], example[order], counts[order])


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    # The finalizer of splitmix64 (Steele, Lea, Flood 2014): spreads each bit over all others.
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
