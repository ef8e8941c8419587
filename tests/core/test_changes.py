"""Changes between hops, and the cause each is given."""

from typing import Any

import numpy as np
import pytest
from made import batch_of, journey_set_of

from tracer.core.changes import CHANGE_FIELDS, changes_at, parent_rows
from tracer.core.enums import Cause, Encap
from tracer.core.schema import BY_NAME

ETHERNET = {"dst_mac": "02:00:00:00:00:02", "src_mac": "02:00:00:00:00:01"}


def changes(before: dict[str, Any], after: dict[str, Any], cause: int = 0) -> dict[str, str | None]:
    """The fields that changed, each with its cause's word, from one hop to the next."""
    batch = batch_of([{"time_ns": 1, **before}, {"time_ns": 2, **after}])
    journey_set = journey_set_of(batch, [{"rows": [0, 1], "cause": [0, cause]}])
    return {
        found.field: Cause(found.cause[0]).label if found.cause[0] else None
        for found in changes_at(journey_set, np.arange(2))
    }


def test_fields_are_columns() -> None:
    assert set(CHANGE_FIELDS) <= set(BY_NAME)
    assert len(set(CHANGE_FIELDS)) == len(CHANGE_FIELDS)


def test_a_falling_ttl_is_forwarding() -> None:
    assert changes({"ttl": 64}, {"ttl": 63}, Cause.SNAT) == {"ttl": "forwarded"}


def test_a_rising_ttl_has_no_known_cause() -> None:
    assert changes({"ttl": 63}, {"ttl": 64}) == {"ttl": None}


@pytest.mark.parametrize(
    ("cause", "expected"),
    [
        (Cause.SNAT, {"src": "snat", "sport": "snat"}),
        (Cause.UN_DNAT, {"src": "un-dnat", "sport": "un-dnat"}),
        (Cause.NONE, {"src": None, "sport": None}),
        (Cause.SNAT_DNAT, {"src": "snat", "sport": "snat"}),
        (Cause.UN_SNAT_UN_DNAT, {"src": "un-dnat", "sport": "un-dnat"}),
    ],
)
def test_a_source_is_translated(cause: Cause, expected: dict[str, str | None]) -> None:
    before, after = {"src": "10.0.0.1", "sport": 1}, {"src": "10.0.0.2", "sport": 2}
    assert changes(before, after, cause) == expected


@pytest.mark.parametrize(
    ("cause", "word"),
    [
        (Cause.DNAT, "dnat"),
        (Cause.UN_SNAT, "un-snat"),
        (Cause.SNAT_DNAT, "dnat"),
        (Cause.UN_SNAT_UN_DNAT, "un-snat"),
    ],
)
def test_a_destination_is_translated(cause: Cause, word: str) -> None:
    assert changes({"dst": "10.0.0.1"}, {"dst": "2001:db8::1"}, cause) == {"dst": word}


def test_addresses_that_differ_in_their_upper_half_differ() -> None:
    assert changes({"src": "2001:db8::1"}, {"src": "2001:db9::1"}) == {"src": None}


def test_unknown_on_one_side_is_no_change() -> None:
    assert changes({"ttl": 64, "sport": 5}, {"ip_id": 7}) == {}


def test_a_tag_comes_and_goes_on_ethernet() -> None:
    tagged = {**ETHERNET, "vlan": 20}
    assert changes(ETHERNET, tagged, Cause.BRIDGED) == {"vlan": "bridged"}
    assert changes(tagged, ETHERNET, Cause.FORWARDED) == {"vlan": "forwarded"}
    assert changes(tagged, {**ETHERNET, "vlan": 30}) == {"vlan": None}


def test_a_capture_without_ethernet_tells_nothing_about_tags() -> None:
    assert changes({**ETHERNET, "vlan": 20}, {"src_mac": ETHERNET["src_mac"]}) == {}


def test_tunnels_come_and_go() -> None:
    tunnel = {"encap": Encap.VXLAN, "vni": 5, "outer_src": "10.0.0.1", "outer_dst": "10.0.0.2"}
    fields = ("encap", "vni", "outer_src", "outer_dst")
    into = changes({}, tunnel, Cause.ENCAPSULATED)
    out = changes(tunnel, {}, Cause.DECAPSULATED)
    assert into == dict.fromkeys(fields, "encapsulated")
    assert out == dict.fromkeys(fields, "decapsulated")


def test_before_and_after_are_stored_values() -> None:
    batch = batch_of([{"time_ns": 1, "ttl": 64}, {"time_ns": 2, "ttl": 62}])
    (found,) = changes_at(journey_set_of(batch, [{"rows": [0, 1]}]), np.arange(2))
    assert (found.hops.tolist(), found.before[0].tolist(), found.after[0].tolist()) == (
        [1], [64], [62],
    )  # fmt: skip


def test_a_branch_is_compared_with_its_parent() -> None:
    batch = batch_of([{"time_ns": n, "ttl": ttl} for n, ttl in enumerate((64, 63, 63))])
    journey_set = journey_set_of(batch, [{"rows": [0, 1, 2], "parent": [0, 1, 1]}])
    (found,) = changes_at(journey_set, np.arange(3))
    assert found.hops.tolist() == [1, 2]
    assert parent_rows(journey_set, np.arange(3)).tolist() == [-1, 0, 0]


def test_hops_are_counted_from_the_first_asked_for() -> None:
    batch = batch_of([{"time_ns": n, "ttl": 64 - n} for n in range(4)])
    journey_set = journey_set_of(batch, [{"rows": [0, 1]}, {"rows": [2, 3]}])
    (found,) = changes_at(journey_set, np.array([2, 3]))
    assert (found.hops.tolist(), found.after[0].tolist()) == ([1], [61])
