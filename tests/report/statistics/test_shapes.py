"""Shapes: equal exactly where the places, in order, are."""

from collections import Counter
from typing import Any

from report.statistics.conftest import place_of
from tracer.core.journeys import JourneySet
from tracer.report.statistics.places import places_of
from tracer.report.statistics.shapes import shapes_of


def test_journeys_over_the_same_places_have_one_shape(
    recorded: JourneySet, lines: list[dict[str, Any]]
) -> None:
    ways = shapes_of(recorded, places_of(recorded.observations.points), ways_only=True)
    names = [tuple(place_of(hop) for hop in journey["hops"]) for journey in lines]
    assert sorted(ways.counts.tolist()) == sorted(Counter(names).values())
    assert len({(names[at], int(shape)) for at, shape in enumerate(ways.of_journey)}) == len(
        set(names)
    )
    for shape, example in enumerate(ways.example.tolist()):
        assert ways.of_journey[example] == shape


def test_shapes_tell_evidence_apart(recorded: JourneySet) -> None:
    places = places_of(recorded.observations.points)
    assert len(shapes_of(recorded, places).counts) >= len(
        shapes_of(recorded, places, ways_only=True).counts
    )
