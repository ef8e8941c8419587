"""Words of text: packets, flags, times, changes."""

import pytest

from tracer.core.hop import Change, Hop, Join
from tracer.core.journey import Journey
from tracer.core.observation import Observation
from tracer.core.point import Point
from tracer.report.words import (
    cause_word,
    change_words,
    clock_time,
    date,
    endpoint,
    evidence_words,
    flag_letters,
    microseconds,
    outcome_words,
    packet_details,
    packet_title,
)


def journey(kind: str, proto: str | None, seen: Observation, **fields: object) -> Journey:
    values = {"outcome": "delivered", **fields}
    hops = (Hop(1, seen, 0),)
    return Journey(1, None, proto, kind, 0, 0, hops=hops, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "proto", "seen", "title"),
    [
        ("udp", "udp", Observation(src="10.0.0.1", dst="10.0.0.2", sport=53, dport=9),
         "UDP 10.0.0.1:53 → 10.0.0.2:9"),
        ("tcp-syn-ack", "tcp", Observation(src="::1", dst="fe80::1", sport=1, dport=2),
         "TCP SYN-ACK [::1]:1 → [fe80::1]:2"),
        ("echo-request", "icmpv6", Observation(src="::1", dst="::2"),
         "ICMPv6 echo request ::1 → ::2"),
        ("icmp-error", "icmp", Observation(src="10.0.0.1", dst="10.0.0.2", ip_version=4,
                                           icmp_type=11, icmp_code=0),
         "ICMP error (TTL exceeded in transit) 10.0.0.1 → 10.0.0.2"),
        ("icmp-error", "icmpv6", Observation(src="fd01::1", dst="fd01::2", ip_version=6,
                                             icmp_type=3, icmp_code=0),
         "ICMPv6 error (hop limit exceeded in transit) fd01::1 → fd01::2"),  # RFC 4443, 3.3
        ("icmp-error", "icmpv6", Observation(src="fd01::1", dst="fd01::2", ip_version=6,
                                             icmp_type=2, icmp_code=0),
         "ICMPv6 error (packet too big) fd01::1 → fd01::2"),
        ("icmp-error", "icmpv6", Observation(src="fd01::1", dst="fd01::2", ip_version=6,
                                             icmp_type=11, icmp_code=0),
         "ICMPv6 error (type 11, code 0) fd01::1 → fd01::2"),
        ("icmp-error", "icmp", Observation(src="10.0.0.1", dst="10.0.0.2", ip_version=4,
                                           icmp_type=3),
         "ICMP error (destination unreachable) 10.0.0.1 → 10.0.0.2"),
        ("arp-reply", "arp", Observation(arp_op=2, arp_sender_ip="10.0.0.1",
                                         arp_sender_mac="02:00:00:00:00:01"),
         "ARP reply 10.0.0.1 is at 02:00:00:00:00:01"),
        ("other", "gre", Observation(src="10.0.0.1", dst="10.0.0.2"), "GRE 10.0.0.1 → 10.0.0.2"),
        ("other", None, Observation(src_mac="02:00:00:00:00:01", dst_mac="02:00:00:00:00:02"),
         "PACKET 02:00:00:00:00:01 → 02:00:00:00:00:02"),
        ("other", None, Observation(), "PACKET"),
    ],
)  # fmt: skip
def test_titles(kind: str, proto: str | None, seen: Observation, title: str) -> None:
    assert packet_title(journey(kind, proto, seen)) == title


def test_details_tell_packets_of_a_flow_apart() -> None:
    segment = Observation(proto=6, tcp_flags=0x18, tcp_seq=5, tcp_ack=7, payload_len=100)
    assert packet_details(segment) == ["[PA]", "seq 5", "ack 7", "payload 100"]
    syn = Observation(proto=6, tcp_flags=0x02, tcp_seq=5, tcp_ack=0, payload_len=0)
    assert packet_details(syn) == ["[S]", "seq 5", "payload 0"]
    assert packet_details(Observation(icmp_id=1, icmp_seq=2)) == ["id 1", "seq 2"]
    assert packet_details(Observation(frag_offset=1480)) == ["fragment at 1480"]


@pytest.mark.parametrize(
    ("flags", "letters"), [(0x02, "S"), (0x12, "SA"), (0x11, "FA"), (0, "."), (0x14, "RA")]
)
def test_flags(flags: int, letters: str) -> None:
    assert flag_letters(flags) == letters


def test_endpoints() -> None:
    assert endpoint("10.0.0.1", 80) == "10.0.0.1:80"
    assert endpoint("::1", 80) == "[::1]:80"
    assert endpoint("::1", None) == "::1"
    assert endpoint(None, 80) == "?:80"


def test_times() -> None:
    assert clock_time(1_715_333_344_123_456_789) == "09:29:04.123456"
    assert date(1_715_333_344_123_456_789) == "2024-05-10"
    assert date(0) is None
    assert microseconds(31_000) == "31.0 µs"
    assert microseconds(-500) == "-0.5 µs"


def test_causes() -> None:
    assert cause_word("un-snat") == "un-SNAT"
    assert cause_word("snat-dnat") == "SNAT-DNAT"
    assert cause_word("forwarded") == "forwarded"


def test_changes_without_words_of_their_own() -> None:
    assert change_words(Change("tos", 0, 16)) == "tos 0→16"
    assert change_words(Change("icmp_id", 1, 2)) == "id 1→2"
    assert change_words(Change("mpls_label", None, 16)) == "mpls label none→16"


@pytest.mark.parametrize(
    ("join", "rewritten", "words"),
    [
        (Join("skb", 1, 1.0), True, None),
        (Join("fingerprint", 1, 1.0), False, None),
        (Join("fingerprint", 1, 1.0), True, "[fingerprint]"),
        (Join("conntrack", 1, 1.0), True, "[conntrack]"),
        (Join("sequence", 1, 1.0), False, "[sequence]"),
        (Join("skb", 2, 1.0), False, "[skb, 1 of 2 candidates]"),
        (Join("fingerprint", 1, 0.9), False, "[fingerprint, 90% sure]"),
        (Join("fingerprint", None, None), False, None),
    ],
)
def test_evidence_is_shown_where_it_does_not_speak_for_itself(
    join: Join, rewritten: bool, words: str | None
) -> None:
    changes = (Change("src", "10.0.0.1", "10.0.0.2"),) if rewritten else ()
    assert evidence_words(Hop(2, Observation(), 0, parent=1, changes=changes, join=join)) == words


@pytest.mark.parametrize(
    ("outcome", "point", "reason", "words"),
    [
        ("delivered", Point("h", None, "eth0"), None, "delivered at h/eth0"),
        ("delivered", None, None, "delivered"),
        ("dropped", Point("h", None, "eth0"), "NO_SOCKET", "dropped at h/eth0: NO_SOCKET"),
        ("vanished", Point("h", "ns", "eth0"), None, "vanished after h/ns/eth0"),
        ("unfinished", Point("h", None, "eth0"), None, "seen at this point only"),
        ("lost-by-tracer", None, None, "lost by tracer"),
        ("not-observable", Point("h", None, "eth0"), None, "not observable beyond h/eth0"),
    ],
)
def test_outcomes(outcome: str, point: Point | None, reason: str | None, words: str) -> None:
    end = journey("udp", "udp", Observation(), outcome=outcome, outcome_point=point, reason=reason)
    assert outcome_words(end) == words
