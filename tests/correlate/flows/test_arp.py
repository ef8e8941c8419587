"""Who answers ARP requests is named, and whether on behalf of others."""

import numpy as np
import pytest
from made import batch_of
from scenarios.catalogue import make
from scenarios.elements import Chain, Link
from scenarios.special import arp_replies, arp_requests
from scenarios.traffic import MILLI
from scenarios.world import World

from tracer.core.enums import Kind
from tracer.core.point import Point
from tracer.correlate.join import join

S_MAC, R1_MAC, R0_MAC = "02:00:00:00:00:05", "02:00:00:00:00:11", "02:00:00:00:00:10"


def test_one_mac_that_answers_for_many_addresses_is_named() -> None:
    found = join(make("arp", 3, 0.3).batch)
    asked = np.flatnonzero(found.journeys["kind"] == Kind.ARP_REQUEST)
    texts = {found.reasons[n] for n in found.journeys["reason"][asked]}
    assert len(texts) == 6
    assert all("is at fa:16:3e:00:00:aa, a proxy or router: it answers for 5 other" in t
               for t in texts)  # fmt: skip


@pytest.mark.parametrize(("space", "proxy"), [("r", False), ("other", True), (None, False)])
def test_a_router_that_sends_by_its_other_device_is_no_proxy(
    space: str | None, proxy: bool
) -> None:
    """It answers ARP on one link, and sends from that address on another, by another MAC."""
    host = "r" if space != "other" else "x"
    points = (
        Point("s", None, "s0"), Point("r", space and "r", "r1"), Point(host, space, "r0"),
    )  # fmt: skip
    asked = {"ethertype": 0x806, "arp_op": 1, "arp_sender_ip": "10.2.0.2", "src_mac": S_MAC,
             "arp_sender_mac": S_MAC, "arp_target_ip": "10.2.0.1",
             "dst_mac": "ff:ff:ff:ff:ff:ff"}  # fmt: skip
    answer = {
        "ethertype": 0x806,
        "arp_op": 2,
        "arp_sender_ip": "10.2.0.1",
        "src_mac": R1_MAC,
        "arp_sender_mac": R1_MAC,
        "arp_target_ip": "10.2.0.2",
        "dst_mac": S_MAC,
    }
    sent = {"ethertype": 0x800, "ip_version": 4, "ttl": 64, "proto": 17, "src": "10.2.0.1",
            "dst": "10.1.0.2", "sport": 9, "dport": 9, "src_mac": R0_MAC, "ip_id": 5}  # fmt: skip
    rows = [
        {"point": 0, "time_ns": 10_000, **asked}, {"point": 1, "time_ns": 20_000, **asked},
        {"point": 1, "time_ns": 30_000, **answer}, {"point": 0, "time_ns": 40_000, **answer},
        {"point": 2, "time_ns": 90_000, **sent},
    ]  # fmt: skip
    found = join(batch_of(rows, points))
    request = int(np.flatnonzero(found.journeys["kind"] == Kind.ARP_REQUEST)[0])
    text = found.reasons[found.journeys["reason"][request]]
    assert text.startswith(f"10.2.0.1 is at {R1_MAC}")
    assert (f"a proxy: packets from it come from {R0_MAC}" in text) == proxy


def test_the_owner_of_an_address_is_just_named() -> None:
    world = World(4)
    chain = Chain(world.point("tapA"), Link(), world.point("tapB"))
    asked = arp_requests(world, 0xFA163E000001, "10.0.0.5", "10.0.0.9", 5, 90 * MILLI)
    arrived = chain.cross(world, asked, 0)
    chain.cross(world, arp_replies(world, arrived, 0xFA163E0000AA), 1)
    found = join(world.finish("arp").batch)
    requests = np.flatnonzero(found.journeys["kind"] == Kind.ARP_REQUEST)
    assert len(requests) == 5
    texts = {found.reasons[n] for n in found.journeys["reason"][requests]}
    assert texts == {"10.0.0.9 is at fa:16:3e:00:00:aa"}


@pytest.mark.parametrize("number", range(8))
def test_no_ping_answers_an_arp_request_whatever_its_number_and_that_of_its_flow(
    number: int,
) -> None:
    asked = {"ethertype": 0x806, "arp_op": 1, "arp_sender_ip": "10.0.0.1", "src_mac": S_MAC,
             "arp_sender_mac": S_MAC, "arp_target_ip": "10.0.0.9", "point": 0,
             "dst_mac": "ff:ff:ff:ff:ff:ff"}  # fmt: skip
    answer = {"ip_version": 4, "ethertype": 0x800, "proto": 1, "src": "10.0.0.2", "ttl": 64,
              "dst": "10.0.0.1", "icmp_type": 0, "icmp_code": 0, "icmp_seq": number, "point": 0,
              "ip_len": 40, "payload_len": 12}  # fmt: skip
    # Flows of ARP requests that nobody answers, and of answers to no request.
    for requests in range(1, 8):
        rows = [dict(asked, arp_target_ip=f"10.0.0.{n}") for n in range(requests)]
        rows += [dict(answer, icmp_id=n, ip_id=n + 1) for n in range(8)]
        rows = [dict(row, time_ns=n * 10**9) for n, row in enumerate(rows)]
        found = join(batch_of(rows, (Point("h", None, "eth0"),)))
        assert len(np.unique(found.journeys["flow"])) == len(rows)
        assert (found.journeys["reply"] == -1).all()
