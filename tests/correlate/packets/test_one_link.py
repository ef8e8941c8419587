"""Packets of one link are told apart by their addresses, which nobody rewrites."""

import numpy as np
import pytest
from made import batch_of

from tracer.core.point import Point
from tracer.correlate.join import join

C0, R0, R1, S0 = range(4)
POINTS = tuple(Point("h", netns, device) for netns, device in (
    ("c", "c0"), ("r", "r0"), ("r", "r1"), ("s", "s0"),
))  # fmt: skip
US = 1_000


def of_two_links(**packet: object) -> list[dict[str, object]]:
    """Rows of two packets at one time: c0 to r0, and r1 to s0, alike but for their addresses."""
    left, right = ("fd00:1::c", 0xC), ("fd00:2::a", 0xA)
    ends = {C0: left, R0: left, R1: right, S0: right}
    return [
        {"point": point, "time_ns": (at + 1) * 10 * US, "ip_version": 6, "ttl": 255,
         "src": source, "src_mac": f"02:00:00:00:00:{mac:02x}", "ethertype": 0x86DD, **packet}
        for at, (point, (source, mac)) in enumerate(ends.items())
    ]  # fmt: skip


@pytest.mark.parametrize(
    "packet",
    [
        {"proto": 58, "icmp_type": 135, "icmp_code": 0, "dst": "ff02::1:ff00:1"},
        {"proto": 58, "icmp_type": 136, "icmp_code": 0, "dst": "fd00::1"},
        {"proto": 58, "icmp_type": 143, "icmp_code": 0, "dst": "ff02::16"},
        {"proto": 17, "sport": 5353, "dport": 5353, "dst": "ff02::fb"},
    ],
)
def test_neighbours_of_two_links_are_two_packets(packet: dict[str, object]) -> None:
    found = join(batch_of(of_two_links(payload_len=24, ip_len=64, **packet), POINTS))
    assert [found.hops["row"][found.hops["journey"] == j].tolist() for j in (0, 1)] == [
        [0, 1], [2, 3],
    ]  # fmt: skip
    assert not found.journeys["ambiguous"].any()


@pytest.mark.parametrize(
    ("proto", "dst"), [(2, "239.1.2.3"), (17, "224.0.0.251"), (17, "255.255.255.255")]
)
def test_so_are_reports_and_broadcasts_of_ipv4(proto: int, dst: str) -> None:
    sources = ("10.0.0.2", "10.0.0.2", "10.1.0.9", "10.1.0.9")
    rows = [
        {"point": point, "time_ns": (point + 1) * 10 * US, "ip_version": 4, "ttl": 1, "src": source,
         "dst": dst, "proto": proto, "ethertype": 0x800, "ip_id": 0, "ip_len": 60,
         "payload_len": 32}
        for point, source in enumerate(sources)
    ]  # fmt: skip
    found = join(batch_of(rows, POINTS))
    assert np.bincount(found.hops["journey"]).tolist() == [2, 2]


def test_what_is_routed_is_still_known_by_what_nat_leaves() -> None:
    sources = ("10.0.0.2", "10.0.0.2", "10.1.0.9", "10.1.0.9")
    rows = [
        {"point": point, "time_ns": (point + 1) * 10 * US, "ip_version": 4, "ttl": 64 - point // 2,
         "src": source, "dst": "8.8.8.8", "proto": 17, "ethertype": 0x800, "ip_id": 7, "ip_len": 60,
         "sport": 40_000, "dport": 53, "payload_len": 32, "payload_digest": 99}
        for point, source in enumerate(sources)
    ]  # fmt: skip
    found = join(batch_of(rows, POINTS))
    assert np.bincount(found.hops["journey"]).tolist() == [4]


def journeys_of(rows: list[dict[str, object]]) -> list[list[int]]:
    """The rows of each journey, ascending, where points are on a bridge of one link."""
    points = tuple(Point("h", f"ns{at}", f"d{at}") for at in range(6))
    found = join(batch_of(rows, points))
    return [
        sorted(found.hops["row"][found.hops["journey"] == j].tolist())
        for j in range(len(found.journeys))
    ]


REPORT = {"ip_version": 6, "ethertype": 0x86DD, "proto": 58, "icmp_type": 143, "icmp_code": 0,
          "ttl": 1, "src": "::", "dst": "ff02::16", "ip_len": 76, "payload_len": 20,
          "payload_digest": 5}  # fmt: skip
QUERY = {"ip_version": 4, "ethertype": 0x800, "proto": 2, "ttl": 1, "src": "0.0.0.0", "ip_id": 0,
         "dst": "224.0.0.1", "ip_len": 36, "payload_len": 12, "payload_digest": 6}  # fmt: skip
ASKED = {"ip_version": 6, "ethertype": 0x86DD, "proto": 58, "icmp_type": 133, "icmp_code": 0,
         "ttl": 255, "src": "::", "dst": "ff02::2", "ip_len": 48, "payload_len": 0}  # fmt: skip
ONE, OTHER = "02:00:00:00:00:01", "02:00:00:00:00:02"


@pytest.mark.parametrize("packet", [REPORT, QUERY, ASKED])
def test_who_has_no_address_is_known_by_its_mac(packet: dict[str, object]) -> None:
    seen = ((0, 0, ONE), (1, 9, ONE), (2, 160_000, OTHER), (3, 160_004, OTHER))
    rows = [{"point": at, "time_ns": us * US, "src_mac": mac, **packet} for at, us, mac in seen]
    assert journeys_of(rows) == [[0, 1], [2, 3]]


def test_where_no_mac_is_shown_a_packet_is_of_the_only_sender() -> None:
    seen: tuple[tuple[int, int, str | None], ...] = ((0, 0, ONE), (1, 9, None), (2, 20, ONE))
    rows = [
        {"point": at, "time_ns": us * US, **REPORT, **({"src_mac": mac} if mac else {})}
        for at, us, mac in seen
    ]
    assert journeys_of(rows) == [[0, 1, 2]]
    rows.append({"point": 3, "time_ns": 30 * US, "src_mac": OTHER, **REPORT})
    assert journeys_of(rows) == [[0, 2], [1], [3]]
    for row in rows:
        row.pop("src_mac", None)
    assert journeys_of(rows) == [[0, 1, 2, 3]]


def test_a_tunnel_that_carries_no_frames_shows_no_mac_of_the_sender() -> None:
    carried = {"outer_src": "10.0.0.1", "outer_dst": "10.0.0.2", "encap": 6, "tunnels": 1}
    rows: list[dict[str, object]] = [{"point": 0, "time_ns": 0, **REPORT}]
    rows += [
        {"point": at, "time_ns": at * 9 * US, "src_mac": mac, "outer_src_mac": mac, **carried,
         **REPORT}
        for at, mac in ((1, ONE), (2, OTHER))
    ]  # fmt: skip
    assert journeys_of(rows) == [[0, 1, 2]]
