"""Columns to values: what is read back is what was put in, and null is None."""

import numpy as np
from made import (
    GATEWAY_MAC,
    POINTS,
    START_NS,
    batch_of,
    floating_ip,
    floating_ip_rows,
    journey_set_of,
)

from tracer.core.enums import Decode, Encap, Kind, Outcome
from tracer.core.hop import Change
from tracer.core.observation import OBSERVATION_FIELDS
from tracer.core.values import hop_indices, journeys_of, observations_of


def test_observations_have_the_values_put_in() -> None:
    rows = floating_ip_rows()
    batch = batch_of(rows)
    for values, seen in zip(rows, observations_of(batch, np.arange(len(rows))), strict=True):
        for name, value in values.items():
            if name == "payload_digest":
                assert seen.payload_digest == f"{value:016x}"
            elif name == "point":
                assert seen.device == POINTS[value].device
            else:
                assert getattr(seen, name) == value, name


def test_what_is_not_known_is_none() -> None:
    (seen,) = observations_of(batch_of([{}]), np.array([0]))
    known = {name for name in OBSERVATION_FIELDS if getattr(seen, name) is not None}
    assert known == {"frame", "decode"}


def test_sections_are_read_for_the_rows_that_have_them() -> None:
    batch = batch_of([{"ttl": 1}, {"vni": 5, "encap": Encap.VXLAN, "outer_src": "2001:db8::1"}])
    plain, tunnelled = observations_of(batch, np.array([0, 1]))
    assert (plain.vni, plain.encap, plain.outer_src) == (None, None, None)
    assert (tunnelled.vni, tunnelled.encap, tunnelled.outer_src) == (5, "vxlan", "2001:db8::1")


def test_decode_is_a_word() -> None:
    (seen,) = observations_of(batch_of([{"decode": Decode.UNKNOWN_PROTOCOL}]), np.array([0]))
    assert seen.decode == "unknown-protocol"


def test_a_journey_has_its_hops_in_order() -> None:
    request, reply = journeys_of(floating_ip(), [0, 1])
    assert [hop.observation.device for hop in request.hops] == [point.device for point in POINTS]
    assert [hop.observation.device for hop in reply.hops] == [p.device for p in POINTS[::-1]]
    assert [hop.n for hop in request.hops] == [1, 2, 3, 4, 5, 6]
    assert [hop.delta_ns for hop in request.hops] == [None, 12000, 31000, 1000, 14000, 3000]
    assert (request.first_ns, request.kind, request.proto) == (START_NS, "echo-request", "icmp")


def test_journeys_are_numbered_from_one() -> None:
    request, reply = journeys_of(floating_ip(), [0, 1])
    assert (request.journey, request.reply, request.request) == (1, 2, None)
    assert (reply.journey, reply.reply, reply.request) == (2, None, 1)


def test_changes_belong_to_the_hop_they_happened_at() -> None:
    request, _ = journeys_of(floating_ip(), [0, 1])
    changed = [[change.field for change in hop.changes] for hop in request.hops]
    assert changed == [
        [], [], ["ttl", "src", "icmp_id", "src_mac", "dst_mac"], [],
        ["ttl", "src_mac", "dst_mac"], ["vlan"],
    ]  # fmt: skip
    assert Change("icmp_id", 22344, 36215, "snat") in request.hops[2].changes


def test_the_first_hop_has_no_step() -> None:
    (request,) = journeys_of(floating_ip(), [0])
    first = request.hops[0]
    assert (first.join, first.delta_ns, first.parent, first.changes) == (None, None, 0, ())
    assert request.hops[1].join is not None


def test_order_is_the_one_asked_for() -> None:
    assert [journey.journey for journey in journeys_of(floating_ip(), [1, 0, 1])] == [2, 1, 2]


def test_no_journeys() -> None:
    assert journeys_of(floating_ip(), []) == []


def test_outcome_and_reason_are_words() -> None:
    batch = batch_of([{"time_ns": 1, "point": 2, "src_mac": GATEWAY_MAC}])
    dropped = {
        "rows": [0], "kind": Kind.UDP, "outcome": Outcome.DROPPED, "outcome_point": 2, "reason": 0,
    }  # fmt: skip
    journey_set = journey_set_of(batch, [dropped], reasons=("NETFILTER_DROP",))
    (journey,) = journeys_of(journey_set, [0])
    assert (journey.outcome, journey.reason) == ("dropped", "NETFILTER_DROP")
    assert journey.outcome_point == POINTS[2]


def test_hop_indices_of_some_journeys() -> None:
    journeys = floating_ip().journeys
    assert hop_indices(journeys[[1]]).tolist() == list(range(6, 12))
    assert hop_indices(journeys[[1, 0]]).tolist() == [*range(6, 12), *range(6)]
