"""All figures of a journey set together: what a report says, before it says it."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from tracer.core.enums import Evidence, Outcome
from tracer.core.journeys import JourneySet
from tracer.report.statistics.flow_segments import FlowSegments
from tracer.report.statistics.flows import FlowFigures, flows_of
from tracer.report.statistics.places import Places, places_of
from tracer.report.statistics.segments import Segment, segments_of
from tracer.report.statistics.shapes import Shapes, shapes_of
from tracer.report.statistics.times import Timeline, timeline_of
from tracer.report.statistics.translations import Translation, translations_of


@dataclass(frozen=True, slots=True)
class Figures:
    """Everything counted once over a journey set.

    `outcomes` and `evidence` count journeys and steps by word; `stops` maps (place, outcome word,
    reason) to the journeys that ended there without being delivered; `has_rules`: NAT rules were
    recorded.
    """

    places: Places
    segments: tuple[Segment, ...]
    flows: tuple[FlowFigures, ...]
    flow_segments: FlowSegments
    translations: tuple[Translation, ...]
    timeline: Timeline | None
    shapes: Shapes
    ways: Shapes
    outcomes: dict[str, int]
    evidence: dict[str, int]
    stops: dict[tuple[int, str, str | None], int]
    has_rules: bool = False


def figures_of(journey_set: JourneySet) -> Figures:
    """Return the figures; linear in the observations, no Python per packet."""
    places = places_of(journey_set.observations.points)
    flow_segments = FlowSegments()
    flow_segments.add(journey_set)
    return Figures(
        places,
        tuple(segments_of(journey_set, places)),
        tuple(flows_of(journey_set)),
        flow_segments,
        tuple(translations_of(journey_set, places)),
        timeline_of(journey_set),
        shapes_of(journey_set, places),
        shapes_of(journey_set, places, ways_only=True),
        _outcomes(journey_set),
        _evidence(journey_set),
        _stops(journey_set, places),
        bool(journey_set.nat_rules),
    )


def _outcomes(journey_set: JourneySet) -> dict[str, int]:
    counts = Counter(journey_set.journeys["outcome"].tolist())
    return {word.label: counts[word] for word in Outcome if counts[word]}


def _evidence(journey_set: JourneySet) -> dict[str, int]:
    steps = journey_set.hops["parent"] > 0
    counts = Counter(journey_set.hops["evidence"][steps].tolist())
    return {word.label: counts[word] for word in Evidence if counts[word]}


def _stops(journey_set: JourneySet, places: Places) -> dict[tuple[int, str, str | None], int]:
    journeys = journey_set.journeys
    ended = journeys[journeys["outcome"] != Outcome.DELIVERED]
    at = places.of_point[ended["outcome_point"]]
    triples = np.stack([at, ended["outcome"].astype(np.int64), ended["reason"].astype(np.int64)])
    distinct, counts = np.unique(triples, axis=1, return_counts=True)
    found = {
        (int(place), _word(outcome), _reason(journey_set, reason)): int(count)
        for (place, outcome, reason), count in zip(distinct.T, counts, strict=True)
    }
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _word(outcome: int) -> str:
    return Outcome(outcome).label if outcome in set(Outcome) else "unknown"


def _reason(journey_set: JourneySet, reason: int) -> str | None:
    return journey_set.reasons[reason] if 0 <= reason < len(journey_set.reasons) else None
