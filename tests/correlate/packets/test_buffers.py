"""Kernel buffers: one address within one lifetime is one packet, and joins across NAT."""

import numpy as np

from tracer.core.address import NULL_U64
from tracer.core.batch import ObservationBatch
from tracer.core.point import Point
from tracer.core.schema import PACKET_DTYPE, SECTION_DTYPES, null_record
from tracer.correlate.packets.buffers import SILENCE_NS, are_apart, lifetimes, unambiguous, united


def batch(rows: list[tuple[int, int, int, str]]) -> ObservationBatch:
    """Rows of (time, skb, IP id, host)."""
    packets = np.repeat(null_record(PACKET_DTYPE), len(rows))
    packets["time_ns"], packets["ip_id"] = [r[0] for r in rows], [r[2] for r in rows]
    hosts = sorted({row[3] for row in rows})
    packets["point"] = [hosts.index(row[3]) for row in rows]
    kernel = np.repeat(null_record(SECTION_DTYPES["kernel"]), len(rows))
    kernel["row"], kernel["skb"] = np.arange(len(rows)), [row[1] for row in rows]
    made = ObservationBatch(packets, points=tuple(Point(host) for host in hosts))
    made.sections["kernel"] = kernel
    return made


def test_an_address_used_again_for_another_packet_is_another_lifetime() -> None:
    found = lifetimes(batch([(1, 0xA, 7, "h"), (2, 0xA, 7, "h"), (3, 0xA, 8, "h")]))
    assert found[0] == found[1] != found[2]


def test_a_packet_without_id_at_the_same_address_is_known_by_where_it_starts() -> None:
    """Datagrams that may not be fragmented have IP id 0, and the kernel reuses their buffers."""
    made = batch([(1, 0xA, 0, "g"), (2, 0xA, 0, "h"), (3, 0xA, 0, "g"), (4, 0xA, 0, "h")])
    made.points = tuple(Point("h", device=point.host) for point in made.points)
    found = lifetimes(made)
    assert found[0] == found[1] != found[2] == found[3]


def test_a_rising_ttl_is_another_packet() -> None:
    made = batch([(1, 0xA, 0, "h"), (2, 0xA, 0, "h"), (3, 0xA, 0, "h")])
    made.packets["ttl"] = [64, 63, 64]
    found = lifetimes(made)
    assert found[0] == found[1] != found[2]


def test_an_answer_without_id_in_the_same_buffer_is_another_packet() -> None:
    made = batch([(1, 0xA, -1, "g"), (2, 0xA, -1, "h"), (3, 0xA, -1, "i"), (4, 0xA, -1, "j")])
    made.points = tuple(Point("h", device=point.host) for point in made.points)
    made.packets["src_hi"] = made.packets["dst_hi"] = 0xFD00 << 48
    made.packets["src_lo"], made.packets["dst_lo"] = [1, 1, 2, 2], [2, 2, 1, 1]
    found = lifetimes(made)
    assert found[0] == found[1] != found[2] == found[3]


def test_numbers_that_conntrack_moves_are_those_of_one_packet() -> None:
    """As behind SYNPROXY, whose own sequence numbers are not those of the server."""
    for ip_id, status, ttl, is_one in (
        (7, 64, 64, True), (7, 0, 63, False), (0, 64, 64, False), (0, 64, 63, True),
    ):  # fmt: skip
        made = batch([(1, 0xA, ip_id, "g"), (2, 0xA, ip_id, "h")])
        made.points = tuple(Point("h", device=point.host) for point in made.points)
        made.packets["proto"], made.packets["tcp_flags"] = 6, 0x18
        made.packets["tcp_seq"], made.packets["tcp_ack"] = 100, [700, 900]
        made.packets["ttl"] = [64, ttl]
        made.sections["kernel"]["ct_status"][1] = status
        found = lifetimes(made)
        assert (found[0] == found[1]) == is_one


def test_a_reset_in_the_buffer_of_another_one_is_another_packet() -> None:
    """Resets that refuse a SYN have IP id 0 and sequence number 0."""
    made = batch([(1, 0xA, 0, "g"), (2, 0xA, 0, "h"), (3, 0xA, 0, "i"), (4, 0xA, 0, "j")])
    made.points = tuple(Point("h", device=point.host) for point in made.points)
    made.packets["tcp_seq"], made.packets["tcp_ack"] = 0, [700, 700, 900, 900]
    found = lifetimes(made)
    assert found[0] == found[1] != found[2] == found[3]


def test_arp_frames_are_told_apart_by_their_macs() -> None:
    made = batch([(n, 0xA, -1, "h") for n in range(4)])
    made.packets["ethertype"] = 0x0806
    made.packets["src_mac"], made.packets["dst_mac"] = [1, 1, 2, 1], [9, 9, 1, 9]
    found = lifetimes(made)
    assert found[0] == found[1]
    assert len({found[1], found[2], found[3]}) == 3
    made.packets["src_mac"][1] = NULL_U64  # not known there
    assert lifetimes(made)[1] == found[0]


def test_what_stays_on_its_link_is_told_apart_by_its_addresses() -> None:
    made = batch([(1, 0xA, -1, "g"), (2, 0xA, -1, "h"), (3, 0xA, -1, "i"), (4, 0xA, -1, "j")])
    made.points = tuple(Point("h", device=point.host) for point in made.points)
    made.packets["ip_version"], made.packets["proto"], made.packets["icmp_type"] = 6, 58, 135
    made.packets["src_hi"], made.packets["src_lo"] = 0xFE80 << 48, [1, 1, 2, 2]
    made.packets["dst_hi"], made.packets["dst_lo"] = 0xFF02 << 48, [8, 8, 9, 9]
    found = lifetimes(made)
    assert found[0] == found[1] != found[2] == found[3]


def test_what_waited_for_a_neighbour_ends_where_it_is_given_up() -> None:
    made = batch([(1, 0xA, 7, "h"), (1 + 15 * SILENCE_NS, 0xA, 7, "h")])
    assert len(set(lifetimes(made).tolist())) == 2
    made.sections["kernel"]["drop_reason"][1] = 58
    assert len(set(lifetimes(made).tolist())) == 1
    made.packets["dport"] = [53, 54]
    assert len(set(lifetimes(made).tolist())) == 2


def test_what_was_freed_is_over() -> None:
    made = batch([(1, 0xA, 7, "h"), (2, 0xA, 7, "h"), (3, 0xA, 7, "h")])
    made.sections["kernel"]["drop_reason"][1] = 12
    assert lifetimes(made).tolist() == [0, 0, 1]


def test_each_use_of_a_buffer_is_a_lifetime_of_its_own() -> None:
    """Equal packets, which nothing else tells apart, in two buffers that lie side by side."""
    made = batch([(n, 0xA00 + 0x100 * (n % 2), 7, "h") for n in range(8)])
    made.sections["kernel"]["skb_use"] = [0, 0, 0, 0, 256, 256, 512, 256]
    found = lifetimes(made)
    assert found.tolist() == [0, 1, 0, 1, 2, 3, 4, 3]


def test_silence_ends_a_lifetime() -> None:
    found = lifetimes(batch([(1, 0xA, 7, "h"), (2 + SILENCE_NS, 0xA, 7, "h")]))
    assert found[0] != found[1]


def test_hosts_have_addresses_of_their_own() -> None:
    found = lifetimes(batch([(1, 0xA, 7, "h"), (2, 0xA, 7, "g")]))
    assert found[0] != found[1]


def test_rows_of_two_buffers_are_apart_where_both_are_known() -> None:
    lifetime, other = np.array([0, 1, -1, 1, 0]), np.array([-1, 0, 0, 1, 2])
    assert are_apart(lifetime, other).tolist() == [False, True, False, False, False]


def test_no_buffer_is_no_lifetime() -> None:
    found = lifetimes(batch([(1, 0, 7, "h"), (2, 0xA, 7, "h"), (3, 0, 7, "h")]))
    assert found.tolist() == [-1, 0, -1]


def test_journeys_that_share_a_lifetime_become_one_and_numbers_stay_dense() -> None:
    journey = np.array([0, 1, 1, 2, 3, -1, 4])
    lifetime = np.array([5, 5, 6, 6, -1, 7, 8])
    joined, count = united(journey, lifetime)
    assert joined.tolist() == [0, 0, 0, 0, 1, -1, 2]
    assert count == 3


def test_without_buffers_nothing_changes() -> None:
    journey = np.array([0, 1, -1])
    joined, count = united(journey, np.full(3, -1))
    assert joined.tolist() == [0, 1, -1]
    assert count == 2


def test_what_one_buffer_holds_together_is_certain() -> None:
    journey, lifetime = np.array([0, 0, 1, 1, 1, 2]), np.array([0, 0, 1, 1, 2, -1])
    sure = unambiguous(journey, 3, lifetime, np.arange(6))
    assert sure.tolist() == [True, True, False, True, False, False]
