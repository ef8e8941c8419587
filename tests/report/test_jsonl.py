"""Lines of JSON: the contract's keys in the contract's order, and the same facts as the values."""

import json
from typing import Any

import numpy as np
import pytest
from made import batch_of, floating_ip, floating_ip_rows, journey_set_of

from tracer.core.enums import Cause, Encap, Outcome
from tracer.core.journeys import JourneySet
from tracer.core.point import Direction, Point
from tracer.core.values import journeys_of, observations_of
from tracer.report import jsonl

JOURNEY_KEYS = ["schema", "journey", "flow", "proto", "kind", "first_ns", "last_ns", "outcome",
                "outcome_at", "reason", "reply", "hops"]  # fmt: skip
HOP_KEYS = ["n", "host", "netns", "device", "role", "direction", "hook", "time_ns", "delta_ns",
            "capture", "frame", "src_mac", "dst_mac", "vlan", "src", "dst", "sport", "dport",
            "icmp_type", "icmp_code", "icmp_id", "icmp_seq", "tcp_seq", "tcp_ack", "ttl", "ip_id",
            "len", "changes", "join"]  # fmt: skip


def lines(journey_set: JourneySet, *chosen: int) -> list[Any]:
    numbers = np.array(chosen) if chosen else None
    text = b"".join(jsonl.journey_lines(journey_set, numbers)).decode()
    assert text == "" or text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def test_keys_are_the_contracts_in_its_order() -> None:
    for journey in lines(floating_ip()):
        assert [key for key in journey if key in JOURNEY_KEYS] == JOURNEY_KEYS
        for hop in journey["hops"]:
            assert [key for key in hop if key in HOP_KEYS] == HOP_KEYS


def test_a_hop_reads_as_the_contract_says() -> None:
    hop = lines(floating_ip())[0]["hops"][2]
    assert hop["role"] == "rfp"
    assert (hop["direction"], hop["delta_ns"], hop["len"], hop["vlan"]) == (
        "egress",
        31000,
        84,
        None,
    )
    assert hop["changes"][0] == {"field": "ttl", "from": 64, "to": 63, "cause": "forwarded"}
    assert hop["changes"][2] == {"field": "icmp_id", "from": 22344, "to": 36215, "cause": "snat"}
    assert hop["join"] == {"evidence": "conntrack", "candidates": 1, "confidence": 1.0}


def test_the_first_hop_speaks_of_no_step() -> None:
    hop = lines(floating_ip())[0]["hops"][0]
    assert (hop["delta_ns"], hop["changes"], hop["join"]) == (None, [], None)


def test_lines_say_what_the_values_say() -> None:
    journey_set = floating_ip()
    for line, journey in zip(lines(journey_set), journeys_of(journey_set, [0, 1]), strict=True):
        for key in ("journey", "flow", "proto", "kind", "first_ns", "last_ns", "outcome", "reply"):
            assert line[key] == getattr(journey, key), key
        for shown, hop in zip(line["hops"], journey.hops, strict=True):
            changes = [(c.field, c.before, c.after, c.cause) for c in hop.changes]
            assert [tuple(change.values()) for change in shown["changes"]] == changes
            assert (shown["n"], shown["delta_ns"]) == (hop.n, hop.delta_ns)
            assert (shown["src"], shown["ttl"]) == (hop.observation.src, hop.observation.ttl)


def test_chosen_journeys_in_the_order_chosen() -> None:
    assert [line["journey"] for line in lines(floating_ip(), 1, 0)] == [2, 1]


@pytest.mark.parametrize("rows_at_once", [1, 5, 6, 1000])
def test_chunks_do_not_show(monkeypatch: pytest.MonkeyPatch, rows_at_once: int) -> None:
    whole = lines(floating_ip())
    monkeypatch.setattr(jsonl, "CHUNK_ROWS", rows_at_once)
    assert lines(floating_ip()) == whole


def test_names_that_need_quoting() -> None:
    point = Point('ho"st', "näme\n", "eth\\0", Direction.INGRESS)
    batch = batch_of([{"time_ns": 1, "point": 0}], [point])
    (line,) = lines(journey_set_of(batch, [{"rows": [0]}]))
    hop = line["hops"][0]
    assert (hop["host"], hop["netns"], hop["device"]) == ('ho"st', "näme\n", "eth\\0")


def test_a_header_that_comes_is_a_change_from_null() -> None:
    rows = [{"time_ns": 1}, {"time_ns": 2, "encap": Encap.VXLAN, "vni": 5}]
    journey = {"rows": [0, 1], "cause": [0, Cause.ENCAPSULATED], "outcome": Outcome.UNFINISHED}
    (line,) = lines(journey_set_of(batch_of(rows), [journey]))
    assert line["hops"][1]["changes"] == [
        {"field": "encap", "from": None, "to": "vxlan", "cause": "encapsulated"},
        {"field": "vni", "from": None, "to": 5, "cause": "encapsulated"},
    ]
    assert line["outcome"] == "unfinished"


def test_no_journeys_no_lines() -> None:
    assert lines(journey_set_of(batch_of([]), [])) == []


def test_observation_lines_are_the_observations() -> None:
    batch = batch_of([*floating_ip_rows(), {}])
    text = b"".join(jsonl.observation_lines(batch)).decode()
    seen = observations_of(batch, np.arange(len(batch)))
    for line, observation in zip(text.splitlines(), seen, strict=True):
        for key, value in json.loads(line).items():
            assert value == getattr(observation, key), key
