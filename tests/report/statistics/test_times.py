"""Round trips and the timeline against plain loops."""

from dataclasses import replace
from typing import Any

import pytest

from report.statistics.conftest import place_of
from tracer.core.journeys import JourneySet
from tracer.report.statistics.times import round_trips, round_width, timeline_of


def test_round_trips(recorded: JourneySet, lines: list[dict[str, Any]]) -> None:
    expected = {}
    for reply in lines:
        request = lines[reply["request"] - 1] if reply["request"] else None
        if request and place_of(request["hops"][0]) == place_of(reply["hops"][-1]):
            expected[request["journey"] - 1] = reply["last_ns"] - request["first_ns"]
    requests, taken = round_trips(recorded)
    assert dict(zip(requests.tolist(), taken.tolist(), strict=True)) == expected
    assert expected


def test_timeline_holds_every_journey(recorded: JourneySet, lines: list[dict[str, Any]]) -> None:
    timeline = timeline_of(recorded)
    assert timeline is not None
    assert len(timeline.arrived) <= 121
    for word, counts in (("delivered", timeline.arrived), ("vanished", timeline.lost)):
        own = [each for each in lines if each["outcome"] == word]
        assert sum(counts) == len(own)
        for journey in own:
            at = (journey["first_ns"] - timeline.start_ns) // timeline.width_ns
            assert counts[at] > 0


def test_stamps_of_a_damaged_capture_may_be_centuries_apart(recorded: JourneySet) -> None:
    journeys = recorded.journeys.copy()
    journeys["first_ns"][0], journeys["first_ns"][-1] = -(2**63) + 5, 2**63 - 5
    timeline = timeline_of(replace(recorded, journeys=journeys))
    assert timeline is not None
    kinds = (timeline.arrived, timeline.lost, timeline.other)
    assert sum(map(sum, kinds)) == len(journeys)
    assert sum(counts[0] for counts in kinds) == 1
    assert sum(counts[-1] for counts in kinds) == 1


@pytest.mark.parametrize(
    ("least", "width"), [(1, 1), (2, 2), (3, 5), (6, 10), (11, 20), (99, 100), (101, 200)]
)
def test_round_width(least: int, width: int) -> None:
    assert round_width(least) == width
