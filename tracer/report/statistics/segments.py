"""Segments: what goes from one place to the next, how long it takes, how much is lost there."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.enums import Event
from tracer.core.journeys import NO_TIME, JourneySet
from tracer.core.schema import StructuredArray
from tracer.core.segments import Steps, segment_events, steps_of
from tracer.report.statistics.places import Places
from tracer.report.statistics.quantiles import grouped_histograms, grouped_quantiles


@dataclass(frozen=True, slots=True)
class Segment:
    """Figures of the way from one place to the next, one direction.

    `origin` and `target` index the places, equal where a packet goes in and out of one device; a
    target of -1 is beyond the last place that was seen.
    `packets` arrived, `lost` left the origin and should have arrived; `missed` did, but were not
    captured. `resent` repeat bytes lost here, `reordered` were overtaken (RFC 4737). `quantiles_ns`
    are those of `quantiles.QUANTILES`, nan where no time is known; `histogram` counts
    `quantiles.BINS`.
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
    missed: int = 0
    resent: int = 0
    reordered: int = 0

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
    steps, events = steps_of(journey_set), segment_events(journey_set)
    keys = _key(places.of_point[steps.from_point], places.of_point[steps.to_point])
    of_event = _event_keys(events, places)
    distinct, codes = np.unique(np.concatenate([keys, of_event]), return_inverse=True)
    codes = codes.reshape(-1)
    found = _figures(
        journey_set, steps, codes[: len(keys)], events["event"], codes[len(keys) :], distinct
    )
    labels = [*(place.label for place in places.places), ""]
    return sorted(
        found,
        key=lambda each: (-(each.packets + each.lost), labels[each.origin], labels[each.target]),
    )


def _figures(
    journey_set: JourneySet,
    steps: Steps,
    of_step: NDArray[np.int64],
    events: NDArray[np.int8],
    of_event: NDArray[np.int64],
    distinct: NDArray[np.int64],
) -> list[Segment]:
    count = len(distinct)
    is_reply = journey_set.journeys["request"][journey_set.hops["journey"][steps.after]] >= 0
    delta = journey_set.hops["delta_ns"][steps.after]
    known = (delta != NO_TIME) & (delta >= 0)
    packets = np.bincount(of_step, minlength=count)
    lost, missed, resent, reordered = (
        np.bincount(of_event[events == event], minlength=count)
        for event in (Event.LOST, Event.MISSED, Event.RESENT, Event.OVERTAKEN)
    )
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
            missed=int(missed[code]),
            resent=int(resent[code]),
            reordered=int(reordered[code]),
        )
        for code, key in enumerate(distinct.tolist())
    ]


def lost_keys(journey_set: JourneySet, places: Places) -> NDArray[np.int64]:
    """Return a number of the segment on which each journey was lost, (journeys,), -1 for none."""
    keys = np.full(len(journey_set.journeys), -1, np.int64)
    events = segment_events(journey_set)
    events = events[events["event"] == Event.LOST]
    keys[events["journey"]] = _event_keys(events, places)
    return keys


def _event_keys(events: StructuredArray, places: Places) -> NDArray[np.int64]:
    return _key(places.of_point[events["from_point"]], places.of_point[events["to_point"]])


def _key(origin: NDArray[Any], target: NDArray[Any]) -> NDArray[np.int64]:
    key: NDArray[np.int64] = (origin.astype(np.int64) << 32) | (target.astype(np.int64) + 1)
    return key
