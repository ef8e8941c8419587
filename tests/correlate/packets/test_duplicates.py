"""A packet that a point shows twice: each time is a hop, and the later one copies the former."""

import pytest
from made import batch_of
from scenarios.catalogue import make

from tracer.core.enums import Outcome
from tracer.core.point import Point
from tracer.correlate.join import join

MICRO, MILLI = 1_000, 1_000_000


def test_duplicates_are_hops_that_come_from_what_they_copy() -> None:
    batch = make("span_duplicates", 3, 0.3).batch
    found = join(batch)
    duplicates = found.journeys["duplicates"].sum()
    assert duplicates > 0
    assert found.journeys["n_hops"].sum() == len(batch.packets)
    places = [(point.host, point.netns, point.device) for point in batch.points]
    at = [places[point] for point in batch.packets["point"][found.hops["row"]]]
    copies = 0
    for journey in found.journeys:
        first, count = journey["first_hop"], journey["n_hops"]
        above = found.hops["parent"][first : first + count]
        copies += sum(
            at[first + n] == at[first + parent - 1] for n, parent in enumerate(above) if parent
        )
    assert copies == duplicates


@pytest.mark.parametrize("count", [32, 100])  # with 24 and 75 that have a number
@pytest.mark.parametrize("all_equal", [False, True])
@pytest.mark.parametrize("doubles", [False, True])
def test_a_point_that_doubles_no_others_shows_equal_packets_not_copies(
    doubles: bool, all_equal: bool, count: int
) -> None:
    # Of two equal datagrams without a number, 40 µs apart, the network lost the second; or the
    # first point shows each packet twice. Packets with a number tell which. All those datagrams are
    # equal, or each two.
    shown = []
    for number in range(count):
        equal = number % 4 == 1
        seen = [(0, 0), (1, 300)] + [(0, 40)] * (equal or doubles)
        digest = 1 if equal and all_equal else number + 2
        told = {"ip_id": 0 if equal else number + 1, "payload_digest": digest}
        shown += [(point, number * MILLI + at_us * MICRO, told) for point, at_us in seen]
    assert outcomes(shown) == ((0, count) if doubles else (count // 4, 0))


@pytest.mark.parametrize("doubles", [False, True])
def test_without_numbers_what_both_points_show_twice_tells(doubles: bool) -> None:
    # Datagrams come by two that are equal, of which the network sometimes loses the second; or the
    # first point shows each twice.
    shown = []
    for number in range(100):
        seen = [(0, 0), (1, 300), (0, 40)] + [(1, 340)] * (number % 4 != 1 and not doubles)
        told = {"ip_id": 0, "payload_digest": number + 2}
        shown += [(point, number * MILLI + at_us * MICRO, told) for point, at_us in seen]
    assert outcomes(shown) == ((0, 100) if doubles else (25, 0))


@pytest.mark.parametrize("late_us", [40, 400])
@pytest.mark.parametrize("doubles", [False, True])
def test_tcp_data_without_ids_is_sent_again_or_copied(doubles: bool, late_us: int) -> None:
    # A third of the segments are lost and sent again, within a millisecond; or each is shown twice.
    shown = []
    for number in range(100):
        again = number % 3 == 1
        seen = [(0, 0), (0, late_us)] if again or doubles else [(0, 0)]
        seen.append((1, 300 + late_us * (again and not doubles)))
        told = {"proto": 6, "ip_version": 6, "ethertype": 0x86DD, "src": "fd00::1",
                "dst": "fd00::2", "tcp_seq": 1000 * number, "tcp_ack": 7,
                "payload_digest": number + 2}  # fmt: skip
        shown += [(point, number * MILLI + at_us * MICRO, told) for point, at_us in seen]
        # What has an id tells whether the point doubles packets.
        pinged = {"proto": 1, "icmp_type": 8, "icmp_id": 5, "icmp_seq": number, "sport": -1,
                  "dport": -1, "payload_digest": 1}  # fmt: skip
        seen = [(0, 500), (1, 800)] + [(0, 500 + late_us)] * doubles
        shown += [(point, number * MILLI + at_us * MICRO, pinged) for point, at_us in seen]
    assert outcomes(shown) == ((0, 200) if doubles else (33, 0))


def test_what_is_later_than_copies_are_was_sent_again() -> None:
    # Each segment is shown twice; half of them are lost and sent again 150 µs later.
    shown = []
    for number in range(100):
        again = number % 2 == 1
        seen = [(0, 0), (0, 2), (1, 300 + 150 * again)] + [(0, 150), (0, 152)] * again
        told = {"proto": 6, "ip_id": 0, "tcp_seq": 1000 * number, "tcp_ack": 7,
                "payload_digest": number + 2}  # fmt: skip
        shown += [(point, number * MILLI + at_us * MICRO, told) for point, at_us in seen]
    assert outcomes(shown) == (50, 150)


def test_what_has_another_ip_id_on_one_link_is_no_copy() -> None:
    # First fragments of IPv6 datagrams of one size, 500 µs after each other, of which nothing but
    # the id was captured, which a router in between replaces.
    shown = []
    for number in range(80):
        at_ns = (number // 2 * 20 + number % 2 * 0.5) * MILLI
        for point in range(2):
            told = {"ip_version": 6, "ethertype": 0x86DD, "src": "2001:db8::1",
                    "dst": "2001:db8::2", "ip_id": 7 + number + 500 * point, "frag_offset": 0,
                    "more_fragments": 1, "payload_digest": 0, "payload_len": 1176,
                    "wire_len": 1246, "cap_len": 128}  # fmt: skip
            shown.append((point, int(at_ns) + 300 * MICRO * point, told))
    assert outcomes(shown) == (0, 0)


def outcomes(shown: list[tuple[int, int, dict[str, object]]]) -> tuple[int, int]:
    """How many packets vanished, and how many were copies. `shown`: point, time, and fields."""
    rows: list[dict[str, object]] = [
        {"point": point, "ttl": 64 - point, "time_ns": time_ns, "ip_version": 4,
         "ethertype": 0x800, "proto": 17, "src": "10.0.1.2", "dst": "10.0.2.2", "sport": 9,
         "dport": 9, "payload_len": 20, "ip_len": 48, "src_mac": f"02:00:00:00:00:{point}1",
         "dst_mac": f"02:00:00:00:00:{point}2", **fields}
        for point, time_ns, fields in shown
    ]  # fmt: skip
    found = join(batch_of(rows, (Point("a", None, "out"), Point("b", None, "in"))))
    vanished = (found.journeys["outcome"] == Outcome.VANISHED).sum()
    return int(vanished), int(found.journeys["duplicates"].sum())
