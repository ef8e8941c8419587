"""The JSON Schemas are valid, and real output validates against them."""

import json
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator
from made import batch_of, floating_ip, floating_ip_rows, journey_set_of

from tracer.core.enums import Cause
from tracer.core.journeys import ClockEstimate, FlowPath, FlowPathHop, FlowPathJoin
from tracer.core.observation import OBSERVATION_FIELDS
from tracer.core.warnings import InputWarning
from tracer.report.jsonl import journey_lines, observation_lines
from tracer.report.schema import SCHEMAS
from tracer.report.summary import ObservationCounts, summary_of


def validate(kind: str, value: Any) -> None:
    Draft202012Validator(SCHEMAS[kind]()).validate(value)


@pytest.mark.parametrize("kind", SCHEMAS)
def test_a_schema_is_one(kind: str) -> None:
    Draft202012Validator.check_schema(SCHEMAS[kind]())


def test_journeys_validate() -> None:
    bare = journey_set_of(batch_of([{"time_ns": 1}]), [{"rows": [0]}])
    for journey_set in (floating_ip(), bare):
        for part in journey_lines(journey_set):
            for line in part.splitlines():
                validate("journey", json.loads(line))


def test_observations_validate() -> None:
    for part in observation_lines(batch_of([*floating_ip_rows(), {}])):
        for line in part.splitlines():
            validate("observation", json.loads(line))


def test_summaries_validate() -> None:
    journey_set = floating_ip()
    journey_set.clocks = (ClockEstimate("vm", 5, None),)
    journey_set.warnings = (InputWarning("cut", "it ends", "a.pcap", 3),)
    hop = FlowPathHop(0, 0, (0,), "request", 5, None, cause=Cause.SNAT, ttl=63, src="10.0.0.1")
    join = FlowPathJoin("a → b", "c → b", "snat", "period", 2, "a sentence", 0.01, 1e-5, 10**9)
    path = FlowPath("a → b", 1, (hop,), joins=(join,), ambiguities=("which one?",))
    journey_set.flow_paths = (path,)
    summary = summary_of(journey_set)
    validate("summary", summary)
    validate("summary", summary | {"events": {"seen": 3}, "attached": ["raw tracepoints"]})
    (written,) = summary["flow_paths"]
    assert set(written["hops"][0]) == _required("flow_paths", "hops")
    assert set(written["joins"][0]) == _required("flow_paths", "joins")
    assert (written["hops"][0]["cause"], written["hops"][0]["ttl"]) == ("snat", 63)
    counts = ObservationCounts()
    assert list(counts.counted([journey_set.observations])) == [journey_set.observations]
    validate("summary", counts.summary(()))
    assert counts.summary(())["observations"] == 12


def _required(*path: str) -> set[str]:
    schema = SCHEMAS["summary"]()
    for name in path:
        schema = schema["properties"][name]["items"]
    return set(schema["properties"])


def test_every_key_is_described() -> None:
    journey = next(iter(journey_lines(floating_ip()))).splitlines()[0]
    schema = SCHEMAS["journey"]()
    assert list(json.loads(journey)) == list(schema["properties"])
    hop_keys = schema["properties"]["hops"]["items"]["properties"]
    assert list(json.loads(journey)["hops"][0]) == list(hop_keys)
    assert list(SCHEMAS["observation"]()["properties"]) == list(OBSERVATION_FIELDS)
    assert set(summary_of(floating_ip())) | {"events", "attached"} == set(
        SCHEMAS["summary"]()["properties"]
    )


@pytest.mark.parametrize(
    ("key", "value"),
    [("outcome", "lost"), ("journey", 0), ("kind", None), ("hops", []), ("flow", "three")],
)
def test_what_is_wrong_does_not_validate(key: str, value: object) -> None:
    journey = json.loads(next(iter(journey_lines(floating_ip(), np.array([0])))))
    validator = Draft202012Validator(SCHEMAS["journey"]())
    assert validator.is_valid(journey)
    assert not validator.is_valid(journey | {key: value})


def _undescribed(schema: Any, path: str) -> list[str]:
    if isinstance(schema, list):
        return [name for each in schema for name in _undescribed(each, path)]
    if not isinstance(schema, dict):
        return []
    keys = schema.get("properties", {})
    found = [f"{path}.{name}" for name, each in keys.items() if not each.get("description")]
    below = {**keys, "": [each for key, each in schema.items() if key != "properties"]}
    return found + [n for name, each in below.items() for n in _undescribed(each, f"{path}.{name}")]


@pytest.mark.parametrize("kind", SCHEMAS)
def test_every_key_says_what_it_means(kind: str) -> None:
    assert _undescribed(SCHEMAS[kind](), kind) == []
