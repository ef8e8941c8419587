"""Segments: what goes from one place to the next, how long it takes, how much is lost there."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.enums import Outcome
from tracer.core.journeys import NO_TIME, JourneySet
from tracer.report.statistics.places import Places, hop_places
from tracer.report.statistics.quantiles import grouped_histograms, grouped_quantiles

LOST = (Outcome.DROPPED, Outcome.VANISHED)


@dataclass(frozen=True, slots=True)
class Segment:
    """Figures of the way from one place to the next, one direction.

    `origin` and `target` index the places, equal where a packet goes in and out of one device; a
    target of -1 is beyond the last place that was seen.
    `packets` arrived, `lost` left the origin and should have arrived. `quantiles_ns` are those of
    `quantiles.QUANTILES`, nan where no time is known; `histogram` counts `quantiles.BINS`.
    """

    origin: int
    target: int
    packets: int
    lost: int
    replies: int
    timed: int
    backwards: int
    total_ns: int
    quantiles_ns: tuple[float, ...]
    histogram: tuple[int, ...]

    @property
    def loss(self) -> float:
        """The lost ones as a part of those that left."""
        left = self.packets + self.lost
        return self.lost / left if left else 0.0

    @property
    def p50_ns(self) -> float:
        """Median time."""
        return self.quantiles_ns[3]

    @property
    def p99_ns(self) -> float:
        """Time that 99 of 100 packets do not exceed."""
        return self.quantiles_ns[6]


def segments_of(journey_set: JourneySet, places: Places) -> list[Segment]:
    """Return the segments, those with most packets first.

    A time that is not known, or that clocks make negative, is counted (`timed`, `backwards`) and
    left out of the quantiles.
    """
    at, before = _ends(journey_set, places)
    steps = np.flatnonzero((before >= 0) & (at >= 0))
    keys = _key(before[steps], at[steps])
    lost = lost_keys(journey_set, places)
    distinct, codes = np.unique(np.concatenate([keys, lost[lost >= 0]]), return_inverse=True)
    found = _figures(journey_set, steps, codes, distinct)
    labels = [*(place.label for place in places.places), ""]
    return sorted(
        found,
        key=lambda each: (-(each.packets + each.lost), labels[each.origin], labels[each.target]),
    )


def _figures(
    journey_set: JourneySet,
    steps: NDArray[np.int64],
    codes: NDArray[np.int64],
    distinct: NDArray[np.int64],
) -> list[Segment]:
    # `codes` are of the steps first, then of the lost journeys.
    count, of_step = len(distinct), codes[: len(steps)]
    is_reply = journey_set.journeys["request"][journey_set.hops["journey"][steps]] >= 0
    delta = journey_set.hops["delta_ns"][steps]
    known = (delta != NO_TIME) & (delta >= 0)
    packets = np.bincount(of_step, minlength=count)
    lost = np.bincount(codes[len(steps) :], minlength=count)
    replies = np.bincount(of_step[is_reply], minlength=count)
    timed = np.bincount(of_step[known], minlength=count)
    backwards = np.bincount(of_step[(delta < 0) & (delta != NO_TIME)], minlength=count)
    total = np.bincount(of_step[known], delta[known], minlength=count)
    quantiles = grouped_quantiles(of_step[known], delta[known], count)
    histograms = grouped_histograms(of_step[known], delta[known], count)
    return [
        Segment(
            origin=int(key >> 32),
            target=int(key & 0xFFFFFFFF) - 1,
            packets=int(packets[code]),
            lost=int(lost[code]),
            replies=int(replies[code]),
            timed=int(timed[code]),
            backwards=int(backwards[code]),
            total_ns=int(total[code]),
            quantiles_ns=tuple(quantiles[code].tolist()),
            histogram=tuple(histograms[code].tolist()),
        )
        for code, key in enumerate(distinct.tolist())
    ]


def lost_keys(journey_set: JourneySet, places: Places) -> NDArray[np.int64]:
    """Return the segment key on which each journey was lost, (journeys,), -1 where it was not.

    The segment goes to where most packets went on that came by the same two places.
    """
    at, before = _ends(journey_set, places)
    journeys = journey_set.journeys
    keys = np.full(len(journeys), -1, np.int64)
    lost = np.flatnonzero(np.isin(journeys["outcome"], LOST) & (journeys["n_hops"] > 0))
    if not len(lost):
        return keys
    last = journeys["first_hop"][lost] + journeys["n_hops"][lost] - 1
    stopped = places.of_point[journeys["outcome_point"][lost]]
    stopped = np.where(stopped >= 0, stopped, at[last])
    onward = _onward(journey_set, at, before)
    pairs = zip(before[last].tolist(), stopped.tolist(), strict=True)
    target = np.array([onward.get(pair, onward.get((-2, pair[1]), -1)) for pair in pairs])
    keys[lost] = np.where(stopped >= 0, _key(stopped, target), -1)
    return keys


def _ends(journey_set: JourneySet, places: Places) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    # The place of each hop, and of the hop it came from (-1 for a first one).
    at = hop_places(journey_set, places)
    hops = journey_set.hops
    first = journey_set.journeys["first_hop"][hops["journey"]]
    parents = np.where(hops["parent"] > 0, first + hops["parent"] - 1, -1)
    return at, np.where(parents >= 0, at[parents], -1)


def _onward(
    journey_set: JourneySet, at: NDArray[np.int64], before: NDArray[np.int64]
) -> dict[tuple[int, int], int]:
    # (place before, place) -> where most went on to; (-2, place) whatever the place before was.
    hops = journey_set.hops
    steps = np.flatnonzero((hops["parent"] > 0) & (before != at) & (at >= 0) & (before >= 0))
    parents = journey_set.journeys["first_hop"][hops["journey"][steps]] + hops["parent"][steps] - 1
    found: dict[tuple[int, int], int] = {}
    for came_by in (np.full(len(steps), -2), before[parents]):
        triples = np.stack([came_by, before[steps], at[steps]])
        distinct, counts = np.unique(triples, axis=1, return_counts=True)
        for index in np.argsort(counts, kind="stable"):
            came, place, target = distinct[:, index].tolist()
            found[came, place] = target
    return found


def _key(origin: NDArray[Any], target: NDArray[Any]) -> NDArray[np.int64]:
    key: NDArray[np.int64] = (origin.astype(np.int64) << 32) | (target.astype(np.int64) + 1)
    return key


def segment_key(segment: Segment) -> int:
    """Return the number `lost_keys` uses for the segment."""
    return segment.origin << 32 | (segment.target + 1)
