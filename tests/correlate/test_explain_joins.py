"""What is said of a join holds of its rows."""

from typing import Any

from made import batch_of
from scenarios.catalogue import make
from scenarios.cutting import Cut, Together
from scenarios.elements import Chain, Router
from scenarios.places import EXTERNAL, FIXED
from scenarios.traffic import datagrams
from scenarios.world import World

from tracer.core.point import Point
from tracer.correlate.explain_joins import JoinReason, explain_joins
from tracer.correlate.join import join


def test_a_translation_keeps_the_number_and_changes_the_source() -> None:
    found = join(make("snat_dvr", 3, 0.2).batch)
    reasons = explain_joins(found, 0)
    assert len(reasons) == found.journeys["n_hops"][0] - 1
    translated = [reason for reason in reasons if reason.cause == "snat"]
    assert len(translated) == 1
    assert {"payload_digest", "ip_id"} <= set(translated[0].kept)
    assert {"src", "ttl"} <= set(translated[0].changed)


def test_equal_packets_are_named_as_rejected() -> None:
    found = join(make("udp_equal_id0", 3, 0.2).batch)
    journey = int(found.journeys["ambiguous"].argmax())
    rejected = [r for reason in explain_joins(found, journey) for r in reason.rejected]
    assert any("equal packet" in r.reason for r in rejected)
    assert all(r.journey != journey for r in rejected)


ARP = {
    "ethertype": 0x0806, "src_mac": "02:00:00:00:00:01", "dst_mac": "ff:ff:ff:ff:ff:ff",
    "arp_sender_mac": "02:00:00:00:00:01", "arp_sender_ip": "10.0.1.2", "arp_target_ip": "10.0.1.1",
}  # fmt: skip
UDP = {
    "ethertype": 0x0800, "ip_version": 4, "src": "10.0.1.2", "dst": "10.0.2.2", "proto": 17,
    "sport": 1000, "dport": 53, "ttl": 64, "ip_id": 7, "payload_len": 40, "payload_digest": 9,
}  # fmt: skip
POINTS = (Point("h", "a", "a0"), Point("h", "b", "b0"))
START_NS = 1_715_333_344_000_000_000


def explained(*rows: dict[str, Any]) -> JoinReason:
    """Return why the second row, at the second point, is the packet of the first."""
    stamped = [
        {"point": int(n > 0), "time_ns": START_NS + 20_000 * n, **row} for n, row in enumerate(rows)
    ]
    (reason,) = explain_joins(join(batch_of(stamped, POINTS)), 0)
    return reason


def test_a_tag_that_is_put_on_is_a_change() -> None:
    assert explained(UDP, {**UDP, "vlan": 20}).changed == ("vlan",)
    assert explained({**UDP, "vlan": 20}, UDP).changed == ("vlan",)
    assert explained({**UDP, "vlan": 20}, {**UDP, "vlan": 20}).changed == ()


def test_arp_that_asks_or_answers_another_thing_was_no_candidate() -> None:
    asked = {**ARP, "arp_op": 1}
    others = (
        {**asked, "arp_target_ip": "10.0.1.9"},
        {**ARP, "arp_op": 2},
        {**asked, "arp_sender_ip": "10.0.1.3"},
    )
    assert explained(asked, asked, *others).rejected == ()


def test_another_flow_had_a_candidate_only_if_nat_could_have_made_it() -> None:
    far = {"sport": 2000, "src": "10.0.1.3"}
    assert explained(UDP, UDP, {**UDP, **far, "ip_id": 8}).rejected == ()
    assert explained(UDP, UDP, {**UDP, **far, "payload_digest": 8}).rejected == ()
    (rejected,) = explained(UDP, UDP, {**UDP, **far}).rejected
    assert rejected.reason == "another flow's packet"
    (rejected,) = explained(UDP, UDP, {**UDP, "ip_id": 8}).rejected
    assert rejected.reason == "another IP id"


def test_pieces_of_a_datagram_name_the_bytes_they_have() -> None:
    world = World(2)
    chain = Chain(
        world.point("in", "router"), Together(), Router(), Cut(2000), world.point("out", "router")
    )
    world.run(chain, Cut(1424).cross(world, datagrams(world, FIXED, EXTERNAL, 1, size=3000), 0))
    reasons = explain_joins(join(world.finish("recut").batch), 0)
    seen = [reason.bytes for reason in reasons if reason.bytes]
    assert seen[-2:] == [((1424, 2848), (0, 2000)), ((2848, 3008), (2000, 3008))]
