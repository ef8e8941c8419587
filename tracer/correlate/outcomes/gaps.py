"""What captures say they lost, against what is missing there: theirs, or lost by the network.

A capture says how many packets it lost between two stamps, not which. Each of them is one that
others saw arrive beyond it, or one that was not seen any further. If it lost as many as are
missing there it lost them all; else nobody knows which the network lost.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np

from tracer.core.batch import Gap, ObservationBatch
from tracer.core.enums import Outcome
from tracer.core.journeys import UNSEEN_DTYPE
from tracer.core.point import Point
from tracer.core.schema import StructuredArray
from tracer.correlate.hashing import Codes
from tracer.correlate.outcomes.onward import Onward
from tracer.correlate.outcomes.paths import Paths
from tracer.correlate.packets.identity import Identity
from tracer.correlate.packets.places import place_codes

NEAR_NS = 2_000_000  # from a point to the next one, and back in time by as much as clocks err
DROPPED = "the next capture dropped {} packets at that time"
PERHAPS = "or lost by the next capture, which dropped {} packets at that time"


@dataclass(slots=True)
class Judged:
    """Journeys that a capture says it may have lost: `lost` where it must have been it.

    `unseen` are all packets that passed a capture unseen while it lost some (UNSEEN_DTYPE).
    """

    journeys: Codes
    lost: Codes
    texts: list[str]
    unseen: StructuredArray


def merged(gaps: Sequence[Gap]) -> list[Gap]:
    """Return the gaps of each point in order of time, those nearer than packets can be told as one.

    Idempotent. One of several that may explain what is missing has to do it for all of them.
    """
    found: list[Gap] = []
    for _, group in groupby(sorted(gaps, key=_order), key=lambda gap: _where(gap.point)):
        mine: list[Gap] = []
        for gap in group:
            if mine and gap.first_ns <= mine[-1].last_ns + 2 * NEAR_NS:
                last_ns = max(mine[-1].last_ns, gap.last_ns)
                packets = mine[-1].packets + gap.packets
                mine[-1] = replace(mine[-1], last_ns=last_ns, packets=packets)
            else:
                mine.append(gap)
        found += mine
    return found


def _where(point: Point) -> tuple[str, ...]:
    return (point.host or "", point.netns or "", point.device or point.capture or "")


def _order(gap: Gap) -> tuple[tuple[str, ...], int, int]:
    return (_where(gap.point), gap.first_ns, gap.last_ns)


def judged(
    batch: ObservationBatch, identity: Identity, paths: Paths, onward: Onward, time: Codes,
    journeys: StructuredArray, edge: Codes,
) -> Judged:  # fmt: skip
    """Return which vanished journeys captures lost, or may have lost; `time` by row.

    `edge`: those that ended before or after all packets of the next capture, which may have been
    its last ones.
    """
    gaps = merged(batch.gaps)
    following = onward.expected
    missing = np.isin(journeys["outcome"], (Outcome.VANISHED, Outcome.LOST_BY_TRACER))
    open_ = journeys["outcome"] == Outcome.VANISHED
    missing[edge] = open_[edge] = True
    ends = np.flatnonzero(missing & (following >= 0))
    owner = np.searchsorted(paths.starts, onward.passed, "right") - 1
    journey = np.concatenate([ends, owner])
    place = np.concatenate([following[ends], onward.passed_place])
    at_ns = np.concatenate([time[paths.last[ends]], onward.passed_ns])
    gap = _gap_of(batch, identity, gaps, time, place, at_ns)
    unseen = np.zeros(int((gap >= 0).sum()), UNSEEN_DTYPE)
    unseen["journey"], unseen["gap"] = journey[gap >= 0], gap[gap >= 0]
    counts = np.bincount(unseen["gap"], minlength=len(gaps))
    explained = np.array(
        [
            count <= each.packets if each.explains is None else each.explains
            for each, count in zip(gaps, counts.tolist(), strict=True)
        ],
        np.bool_,
    )
    at_end = gap[: len(ends)]
    here = (at_end >= 0) & open_[ends]
    ends, at_end = ends[here], at_end[here]
    texts = [
        (DROPPED if explained[each] else PERHAPS).format(gaps[each].packets)
        for each in at_end.tolist()
    ]
    return Judged(ends, ends[explained[at_end]], texts, unseen)


def _gap_of(
    batch: ObservationBatch, identity: Identity, gaps: Sequence[Gap], time: Codes, place: Codes,
    at_ns: Codes,
) -> Codes:  # fmt: skip
    # The gap of the capture at a place that was under way at a time, -1 for none.
    found = np.full(len(place), -1, np.int64)
    places = place_codes(batch, [gap.point for gap in gaps])
    for each in np.unique(places[places >= 0]).tolist():
        rows = np.flatnonzero(identity.place == each)
        mine = np.flatnonzero(place == each)
        if not len(rows) or not len(mine):
            continue
        numbers = np.flatnonzero(places == each)
        first = np.array([gaps[number].first_ns for number in numbers.tolist()]) - NEAR_NS
        last = np.array([gaps[number].last_ns for number in numbers.tolist()]) + NEAR_NS
        # Stamps of that capture, on the scale of all.
        shift = int(np.median(time[rows] - batch.packets["time_ns"][rows]))
        after = np.searchsorted(first, at_ns[mine] - shift, "right") - 1
        during = (after >= 0) & (at_ns[mine] - shift <= last[np.maximum(after, 0)])
        found[mine[during]] = numbers[after[during]]
    return found
