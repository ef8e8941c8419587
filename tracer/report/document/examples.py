"""Which exchanges a report draws: an ordinary one, the slowest, and one of each way to fail."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tracer.core.enums import LOST
from tracer.core.exchanges import exchange_roots
from tracer.core.journeys import JourneySet
from tracer.report.statistics.figures import Figures
from tracer.report.statistics.segments import lost_keys
from tracer.report.statistics.times import round_trips

MOST_FAILURES, MOST_HOPS, MOST_JOURNEYS = 3, 60, 4


@dataclass(frozen=True, slots=True)
class Example:
    """Journeys of one exchange, as indices, and why they are shown."""

    title: str
    journeys: tuple[int, ...]


def examples_of(journey_set: JourneySet, figures: Figures) -> list[Example]:
    """Return the exchanges to draw, failures first."""
    roots = exchange_roots(journey_set)
    chosen = _failures(journey_set, figures)
    requests, taken = round_trips(journey_set)
    hops = journey_set.journeys["n_hops"]
    if len(requests):
        longest = np.flatnonzero(hops[requests] == _usual_hops(hops[requests]))
        order = longest[np.argsort(taken[longest], kind="stable")]
        chosen.append(("An ordinary exchange", int(requests[order[len(order) // 2]])))
        chosen.append(("The slowest exchange", int(requests[np.argmax(taken)])))
    elif len(hops) and hops.max() > 1:
        longest = np.flatnonzero(hops == hops.max())
        chosen.append(("A journey seen at most points", int(longest[len(longest) // 2])))
    found: dict[int, Example] = {}
    for title, journey in chosen:
        root = int(roots[journey])
        if root not in found:
            found[root] = Example(title, _members(journey_set, roots, root))
    return list(found.values())


def _failures(journey_set: JourneySet, figures: Figures) -> list[tuple[str, int]]:
    keys = lost_keys(journey_set, figures.places)
    lost = np.flatnonzero(np.isin(journey_set.journeys["outcome"], LOST))
    distinct, first, counts = np.unique(keys[lost], return_index=True, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:MOST_FAILURES]
    return [
        ("A lost packet" if counts[at] == 1 else f"One of {counts[at]} packets lost at one point",
         int(lost[first[at]]))
        for at in order[: len(distinct)]
    ]  # fmt: skip


def _usual_hops(hops: NDArray[np.int32]) -> int:
    numbers, counts = np.unique(hops, return_counts=True)
    return int(numbers[np.argmax(counts * numbers)])


def _members(journey_set: JourneySet, roots: NDArray[np.int64], root: int) -> tuple[int, ...]:
    members = np.flatnonzero(roots == root)
    first = journey_set.journeys["first_ns"][members]
    ordered = members[np.lexsort((first, members != root))][:MOST_JOURNEYS]
    hops = np.cumsum(journey_set.journeys["n_hops"][ordered])
    return tuple(ordered[(hops <= MOST_HOPS) | (np.arange(len(ordered)) == 0)].tolist())
