"""Frames against the values of `core.values`, which are made one by one."""

from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
import pytest

import tracer
from tests.made import batch_of, journey_set_of
from tracer.core.batch import ObservationBatch
from tracer.core.journeys import JourneySet
from tracer.core.observation import OBSERVATION_FIELDS
from tracer.core.protocols import protocol_name
from tracer.core.values import observations_of
from tracer.report.roles import point_label, role_of

INCIDENTS = ["outbound", "tunnelled", "walkthrough"]


def plain(column: "pd.Series[Any]") -> list[Any]:
    """Return a column's values as Python's own, unknown as None, times as nanoseconds."""
    if column.dtype.kind in "mM":
        return [None if pd.isna(value) else value.value for value in column]
    return [None if pd.isna(value) else value for value in column.tolist()]


@pytest.fixture(params=INCIDENTS)
def incident(request: pytest.FixtureRequest) -> tracer.JourneyFrames:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, tracer.JourneyFrames)
    return found


def test_observations_are_the_values_of_the_batch(incident: tracer.JourneyFrames) -> None:
    batch = incident.journey_set.observations
    values = observations_of(batch, np.arange(len(batch)))
    frame = incident.observations
    for name in OBSERVATION_FIELDS:
        expected = [getattr(value, name) for value in values]
        if name == "proto":
            expected = [None if each is None else protocol_name(each) for each in expected]
        assert plain(frame["time" if name == "time_ns" else name]) == expected, name
    assert frame.index.tolist() == list(range(len(batch)))


def test_journeys_are_the_values_of_the_set(incident: tracer.JourneyFrames) -> None:
    values = list(incident)
    frame = incident.journeys
    same = ("journey", "flow", "proto", "kind", "outcome", "reason", "reply", "request",
            "retransmission_of", "quotes", "ambiguous", "duplicates")  # fmt: skip
    for name in same:
        assert plain(frame[name]) == [getattr(value, name) for value in values], name
    ends = [value.outcome_point for value in values]
    assert plain(frame["outcome_at"]) == [point_label(p) if p else None for p in ends]
    assert plain(frame["first_time"]) == [value.first_ns for value in values]
    assert plain(frame["transit"]) == [value.last_ns - value.first_ns for value in values]
    assert plain(frame["hops"]) == [len(value.hops) for value in values]


def test_hops_are_the_values_of_the_journeys(incident: tracer.JourneyFrames) -> None:
    frame = incident.hops
    hops = [(journey, hop) for journey in incident for hop in journey.hops]
    assert plain(frame["journey"]) == [journey.journey for journey, _ in hops]
    assert plain(frame["time"]) == [hop.time_ns for _, hop in hops]
    assert plain(frame["delta"]) == [hop.delta_ns for _, hop in hops]
    for name in ("n", "cause", "direction"):
        assert plain(frame[name]) == [getattr(hop, name) for _, hop in hops], name
    assert plain(frame["parent"]) == [hop.parent or None for _, hop in hops]
    for name in ("evidence", "candidates"):
        expected = [getattr(hop.join, name) if hop.join else None for _, hop in hops]
        assert plain(frame[name]) == expected, name
    for name in ("src", "dst", "ttl", "ip_id", "vlan", "vni", "capture", "frame", "payload_digest"):
        assert plain(frame[name]) == [getattr(hop.observation, name) for _, hop in hops], name
    points = incident.journey_set.observations
    codes = points.packets["point"][frame["observation"]]
    assert plain(frame["role"]) == [role_of(points.points[code]) for code in codes]


def test_hops_name_their_observation(incident: tracer.JourneyFrames) -> None:
    seen = incident.observations[["frame", "ttl"]].add_suffix("_seen")
    joined = incident.hops.join(seen, on="observation")
    assert plain(joined["frame"]) == plain(joined["frame_seen"])
    assert plain(joined["ttl"]) == plain(joined["ttl_seen"])


def test_changes_are_those_of_the_journeys(incident: tracer.JourneyFrames) -> None:
    expected = [
        (
            journey.journey,
            hop.n,
            each.field,
            text(each.before),
            text(each.after),
            each.cause,
        )
        for journey in incident
        for hop in journey.hops
        for each in hop.changes
    ]
    names = ["journey", "n", "field", "before", "after", "cause"]
    frame = incident.changes
    assert sorted(zip(*(plain(frame[name]) for name in names), strict=True), key=str) == sorted(
        expected, key=str
    )
    keys = list(zip(plain(frame["journey"]), plain(frame["n"]), strict=True))
    assert keys == sorted(keys)


def text(value: object) -> str | None:
    if isinstance(value, bool):
        return str(value).lower()
    return None if value is None else str(value)


def test_a_selection_keeps_numbers_and_narrows_everything(outbound: tracer.JourneyFrames) -> None:
    some = outbound.select(icmp_id=int(outbound.flows["icmp_id"].dropna().iloc[0]))
    numbers = some.journeys["journey"]
    assert 0 < len(some) < len(outbound)
    whole = outbound.journeys.set_index("journey").loc[numbers]
    assert plain(whole["first_time"]) == plain(some.journeys["first_time"])
    assert set(some.hops["journey"]) == set(some.changes["journey"]) == set(numbers)
    assert sorted(some.hops["observation"]) == some.observations.index.tolist()
    assert set(some.flows["flow"]) == set(some.journeys["flow"])
    assert outbound.select() is outbound
    both = some.select(proto="tcp")
    assert len(both) == len(both.hops) == len(both.flows) == len(both.path()) == 0


def test_a_journey_by_its_number(outbound: tracer.JourneyFrames) -> None:
    number = int(outbound.journeys["journey"].iloc[-1])
    assert asdict(outbound.journey(number)) == asdict(list(outbound)[-1])
    for wrong in (0, number + 1):
        with pytest.raises(KeyError):
            outbound.journey(wrong)


def test_the_text_is_that_of_the_command(outbound: tracer.JourneyFrames) -> None:
    some = outbound.select(proto="arp")
    lines = some.text(width=100).splitlines()
    assert sum(line.lstrip().startswith("#") for line in lines) == len(some)
    assert max(map(len, lines)) <= 100


def test_unknown_is_never_zero() -> None:
    rows = [{"point": 0}, {"point": 1, "ttl": 0, "ip_id": 0, "sport": 0, "df": 0}]
    found = tracer.JourneyFrames.of(JourneySet(batch_of(rows))).observations
    for name in ("ttl", "ip_id", "sport", "df", "time", "src", "skb", "arp_op", "payload_digest"):
        assert pd.isna(found[name].iloc[0]), name
    assert found[["ttl", "ip_id", "sport"]].iloc[1].tolist() == [0, 0, 0]
    assert found["df"].iloc[1] == False  # noqa: E712 -- a nullable value is not the object False


def test_digests_read_as_everywhere_else() -> None:
    rows = [{"payload_digest": 0xA}, {}, {"payload_digest": (1 << 64) - 1}]
    found = tracer.JourneyFrames.of(JourneySet(batch_of(rows))).observations["payload_digest"]
    assert plain(found) == ["000000000000000a", None, "f" * 16]


def test_journeys_of_a_stream_keep_their_numbers() -> None:
    batch = batch_of([{"point": 0, "time_ns": 5, "proto": 1}])
    journey_set = journey_set_of(batch, [{"rows": [0]}])
    journey_set.first_journey = 42
    found = tracer.JourneyFrames.of(journey_set)
    assert found.journeys["journey"].tolist() == found.hops["journey"].tolist() == [42]
    assert found.journey(42).journey == 42


def test_an_empty_batch_is_no_error() -> None:
    found = tracer.JourneyFrames.of(JourneySet(ObservationBatch()))
    assert list(found) == []
    assert found.text() == "\n"
