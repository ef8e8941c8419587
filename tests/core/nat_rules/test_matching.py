"""Rules against translations seen: certain ones end the search, doubtful ones are all named."""

from pathlib import Path

import numpy as np
import pytest

import tracer
from tracer.core.address import NULL_U64, V4_PREFIX, encode_ip
from tracer.core.enums import Cause
from tracer.core.nat_rules.matching import rules_at, rules_of
from tracer.core.nat_rules.rule import Condition, NatRule
from tracer.core.nat_rules.seen import SEEN_DTYPE
from tracer.core.point import Direction, Point
from tracer.core.schema import StructuredArray

POINTS = (
    Point("h", "r", "qr-1", Direction.INGRESS),
    Point("h", "r", "rfp-1", Direction.EGRESS),
    Point("h", "f", "fpr-1", Direction.INGRESS),
)
INSIDE, SERVER, FIP = "192.168.3.69", "100.121.0.75", "100.122.0.145"


def net(text: str, length: int = 32) -> tuple[int, int]:
    return V4_PREFIX | encode_ip(text)[1], 96 + length


def snat(*conditions: Condition, to: str = FIP, netns: str | None = "r", **rest: object) -> NatRule:
    found = NatRule("postrouting", ("POSTROUTING",), "snat", "", conditions, (net(to),))
    return NatRule(**{**{f: getattr(found, f) for f in found.__slots__}, "netns": netns, **rest})


def seen(target: int = 1, *, known: bool = True) -> StructuredArray:
    record = np.zeros(1, SEEN_DTYPE)
    ends = {"before_src": INSIDE, "before_dst": SERVER, "after_src": FIP, "after_dst": SERVER}
    for name, text in ends.items():
        pair = encode_ip(text) if known else (NULL_U64, NULL_U64)
        record[f"{name}_hi"], record[f"{name}_lo"] = pair
    record["before_sport"], record["after_sport"] = 40000, 1024
    record["before_dport"] = record["after_dport"] = 80
    record["proto"], record["cause"] = 6, Cause.SNAT
    record["origin"], record["target"] = 0, target
    record["iif"], record["oif"] = 0, target if target == 1 else -1
    return record


@pytest.mark.parametrize(
    ("condition", "fits"),
    [
        (Condition("src", (net(INSIDE),)), True),
        (Condition("src", (net("192.168.0.0", 16),)), True),
        (Condition("src", (net("10.0.0.0", 8),)), False),
        (Condition("src", (net(INSIDE),), inverted=True), False),
        (Condition("dst", (net(SERVER), net("10.0.0.1"))), True),
        (Condition("proto", ((6, 6),)), True),
        (Condition("proto", ((17, 17),)), False),
        (Condition("dport", ((80, 90),)), True),
        (Condition("sport", ((1024, 1024),)), False),  # what it was before
        (Condition("oif", ("rfp-*",)), True),
        (Condition("oif", ("rfp-1",), inverted=True), False),
        (Condition("oif", ("qr-1",)), False),  # watched: the packet did not go out there
        (Condition("iif", ("qr-1",)), True),
    ],
)
def test_a_rule_fits_where_its_condition_does(condition: Condition, fits: bool) -> None:
    assert rules_of([snat(condition)], seen(), POINTS) == [(0,) if fits else ()]


def test_the_first_that_fits_ends_the_search() -> None:
    certain, later = snat(), snat()
    assert rules_of([certain, later], seen(), POINTS) == [(0,)]


def test_all_that_may_have_fitted_are_named() -> None:
    doubtful, certain, later = snat(is_open=True), snat(), snat()
    assert rules_of([doubtful, certain, later], seen(), POINTS) == [(0, 1)]


def test_a_rule_has_to_give_what_was_seen() -> None:
    assert rules_of([snat(to="100.122.0.1"), snat()], seen(), POINTS) == [(1,)]
    assert rules_of(
        [snat(to_ports=(2000, 3000)), snat(to_ports=(1024, 65535))], seen(), POINTS
    ) == [(1,)]


def test_rules_of_the_namespaces_at_hand_come_first() -> None:
    elsewhere, here = snat(netns="other"), snat()
    assert rules_of([elsewhere, here], seen(), POINTS) == [(1,)]
    # Within one namespace nothing else can have done it; between two, one in between may have.
    assert rules_of([elsewhere], seen(), POINTS) == [()]
    assert rules_of([elsewhere], seen(2), POINTS) == [(0,)]
    assert rules_of([snat(netns="other", host="another")], seen(2), POINTS) == [()]


def test_a_dump_of_nobody_may_be_anybodys() -> None:
    assert rules_of([snat(netns=None)], seen(), POINTS) == [(0,)]


def test_what_is_not_known_does_not_decide() -> None:
    asked = snat(Condition("src", (net(INSIDE),)))
    assert rules_of([asked, snat()], seen(known=False), POINTS) == [(0, 1)]


def test_a_device_nobody_watched_may_lie_between() -> None:
    bridge = snat(Condition("oif", ("br-ex",)))
    assert rules_of([bridge, snat()], seen(), POINTS) == [(0, 1)]


def test_where_it_goes_was_not_recorded() -> None:
    unsaid = NatRule("postrouting", ("POSTROUTING",), "snat", "[unsupported revision]", netns="r")
    assert rules_of([unsaid, snat()], seen(), POINTS) == [(0, 1)]


def test_what_came_in_by_a_device_did_not_pass_the_output_hook() -> None:
    here = {"to": (net(FIP),), "netns": "r"}
    early, late = (
        NatRule(hook, (hook,), "dnat", "", **here)  # type: ignore[arg-type]
        for hook in ("output", "prerouting")
    )
    record = seen()
    record["cause"] = Cause.DNAT
    record["after_dst_hi"], record["after_dst_lo"] = encode_ip(FIP)
    assert rules_of([early, late], record, POINTS) == [(1,)]
    record["iif"] = -1
    assert rules_of([early, late], record, POINTS) == [(0, 1)]


def test_target_rules_do_not_change_sources() -> None:
    dnat = NatRule("prerouting", ("PREROUTING",), "dnat", "", to=(net(SERVER),), netns="r")
    assert rules_of([dnat], seen(), POINTS) == [()]


@pytest.mark.parametrize(
    ("folder", "options"),
    [
        ("fip-outbound", {"-s 192.168.3.69/32 -j SNAT --to-source 100.122.0.145 --random-fully"}),
        (
            "fip-inbound",
            {"-d 100.122.0.145/32 -i rfp-b6a86b9f-6 -j DNAT --to-destination 192.168.3.69"},
        ),
        ("snat-centralized", {"-o qg-70a9d3f8-21 -j SNAT --to-source 100.122.0.60 --random-fully"}),
        ("east-west", set()),
    ],
)
def test_recorded_translations_have_one_rule(
    captures: Path, folder: str, options: set[str]
) -> None:
    journey_set = tracer.read(captures / folder).journey_set
    hops, codes, found = rules_at(journey_set)
    assert all(len(found[code]) == 1 for code in codes.tolist())
    texts = {journey_set.nat_rules[found[code][0]].text for code in codes.tolist()}
    assert {text.split(" ", 2)[2] for text in texts} == options
    assert len(hops) == (56 + 49 if folder == "fip-outbound" else len(hops))


def test_two_tenants_with_one_address_have_a_rule_each(captures: Path) -> None:
    incident = tracer.read(captures / "two-tenants")
    done = incident.changes.query("field == 'src' and cause == 'snat'")
    by_address = done.groupby("after", observed=True)["rule"].unique()
    assert {address: len(rules) for address, rules in by_address.items()} == {
        "100.122.0.145": 1, "100.122.0.178": 1,
    }  # fmt: skip
    assert all(f"--to-source {address} " in rules[0] for address, rules in by_address.items())
