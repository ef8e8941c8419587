"""Segments against counting in plain loops over the JSON lines, and losses against the truth."""

from collections import Counter, defaultdict
from typing import Any

import numpy as np
from made import floating_ip

from report.statistics.conftest import place_of
from tracer.core.enums import Outcome
from tracer.core.journeys import NO_TIME, JourneySet
from tracer.report.statistics.places import places_of
from tracer.report.statistics.segments import lost_keys, segments_of


def test_packets_and_quantiles(recorded: JourneySet, lines: list[dict[str, Any]]) -> None:
    deltas: defaultdict[Any, list[int]] = defaultdict(list)
    replies: Counter[Any] = Counter()
    for journey in lines:
        for hop in journey["hops"][1:]:
            before = journey["hops"][hop["parent"] - 1]
            ends = place_of(before), place_of(hop)
            deltas[ends].append(hop["delta_ns"])
            replies[ends] += journey["request"] is not None
    places = places_of(recorded.observations.points)
    points = [(p.host, p.netns, p.device) for p in recorded.observations.points]
    names = {int(places.of_point[at]): name for at, name in enumerate(points)}
    found = [s for s in segments_of(recorded, places) if s.packets]
    assert {(names[s.origin], names[s.target]) for s in found} == set(deltas)
    for segment in found:
        ends = names[segment.origin], names[segment.target]
        known = sorted(each for each in deltas[ends] if each is not None and each >= 0)
        assert segment.packets == len(deltas[ends])
        assert segment.replies == replies[ends]
        assert segment.timed == sum(segment.histogram) == len(known)
        assert segment.p50_ns == known[(len(known) + 1) // 2 - 1]
        assert (segment.quantiles_ns[0], segment.quantiles_ns[-1]) == (known[0], known[-1])
        assert segment.total_ns == sum(known)


def test_every_lost_journey_is_lost_on_one_segment(recorded: JourneySet) -> None:
    places = places_of(recorded.observations.points)
    segments = segments_of(recorded, places)
    lost = np.isin(recorded.journeys["outcome"], (Outcome.DROPPED, Outcome.VANISHED))
    keys = lost_keys(recorded, places)
    assert ((keys >= 0) == lost).all()
    assert sum(segment.lost for segment in segments) == lost.sum()
    assert {each.origin << 32 | (each.target + 1) for each in segments} >= set(keys[lost].tolist())


def test_a_lost_packet_belongs_to_where_others_went_on() -> None:
    # One request arrives, its copy is made to end at the second point.
    journey_set = floating_ip()
    cut = journey_set.journeys[:1].copy()
    cut["n_hops"], cut["outcome"], cut["outcome_point"] = 2, Outcome.VANISHED, 1
    journey_set.journeys = np.concatenate([journey_set.journeys, cut])
    places = places_of(journey_set.observations.points)
    (lossy,) = [each for each in segments_of(journey_set, places) if each.lost]
    assert (places.places[lossy.origin].name, places.places[lossy.target].name) == (
        "qr-1f6b0aa3-3d", "rfp-b6a86b9f-6",
    )  # fmt: skip
    assert (lossy.packets, lossy.lost, lossy.loss) == (1, 1, 0.5)


def test_unknown_and_negative_times_are_counted_apart() -> None:
    journey_set = floating_ip()
    journey_set.hops["delta_ns"][1] = NO_TIME
    journey_set.hops["delta_ns"][2] = -5
    segments = segments_of(journey_set, places_of(journey_set.observations.points))
    untimed = [each for each in segments if not each.timed]
    assert sorted(each.backwards for each in untimed) == [0, 1]
    assert all(np.isnan(each.p50_ns) for each in untimed)
