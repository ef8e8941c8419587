"""Datagrams of equal bytes that go one way and the other are two packets."""

from itertools import pairwise

import numpy as np
import pytest

from tracer.core.address import encode_ip
from tracer.core.schema import PACKET_DTYPE, StructuredArray, null_record
from tracer.correlate.packets.echoed import each_way

UDP, TCP = 17, 6
Ends = tuple[str, int, str, int]
INSIDE: Ends = ("10.0.0.2", 40_000, "198.51.100.9", 7)
OUTSIDE: Ends = ("192.0.2.1", 51_000, "198.51.100.9", 7)
FORWARDED: Ends = ("192.0.2.1", 51_000, "172.16.0.5", 7007)
SAME_PORTS: Ends = ("10.0.0.2", 4500, "198.51.100.9", 4500)
RETURNED: Ends = ("198.51.100.9", 4500, "10.0.0.2", 4500)


def back(ends: Ends) -> Ends:
    return (*ends[2:], *ends[:2])


def packets(rows: list[Ends], proto: int = UDP) -> StructuredArray:
    p = np.repeat(null_record(PACKET_DTYPE), len(rows))
    p["proto"] = proto
    for i, (src, sport, dst, dport) in enumerate(rows):
        p["src_hi"][i], p["src_lo"][i] = encode_ip(src)
        p["dst_hi"][i], p["dst_lo"][i] = encode_ip(dst)
        p["sport"][i], p["dport"][i] = sport, dport
    if proto == TCP:
        p["tcp_seq"] = 5
    return p


def parts(rows: list[Ends], proto: int = UDP) -> set[frozenset[int]]:
    codes = {ends: code for code, ends in enumerate(dict.fromkeys(rows))}
    flow = np.array([codes[ends] for ends in rows], np.uint64)
    whole = np.arange(len(rows)), np.array([0, len(rows)])
    order, starts = each_way(packets(rows, proto), flow, *whole)
    assert sorted(order) == list(range(len(rows)))
    return {frozenset(order[a:b].tolist()) for a, b in pairwise(starts)}


@pytest.mark.parametrize(
    "rows",
    [
        [INSIDE, INSIDE, back(INSIDE), back(INSIDE)],
        [INSIDE, OUTSIDE, back(OUTSIDE), back(INSIDE)],  # a NAT between
        [INSIDE, OUTSIDE, back(FORWARDED), back(OUTSIDE)],  # and another one
        [INSIDE, FORWARDED, back(FORWARDED), back(INSIDE)],  # with nothing between: by their ports
    ],
)
def test_an_answer_of_the_same_bytes_is_another_packet(rows: list[Ends]) -> None:
    assert parts(rows) == {frozenset((0, 1)), frozenset((2, 3))}


@pytest.mark.parametrize(
    ("rows", "proto"),
    [
        ([INSIDE, OUTSIDE, FORWARDED], UDP),
        ([SAME_PORTS, RETURNED], UDP),  # a NAT may send it back to its sender so
        ([INSIDE, back(INSIDE)], TCP),  # which its numbers tell apart
    ],
)
def test_what_is_translated_stays_together(rows: list[Ends], proto: int) -> None:
    assert parts(rows, proto) == {frozenset(range(len(rows)))}


def test_many_packets_alike_are_parted_each_way() -> None:
    clients: list[Ends] = [("10.0.0.2", 40_000 + i, "198.51.100.9", 7) for i in range(200)]
    behind: list[Ends] = [("192.0.2.1", 10_000 + 7 * i, "198.51.100.9", 7) for i in range(200)]
    sent = [*clients, *behind]
    rows = [*sent, *(back(ends) for ends in sent)]
    assert parts(rows) == {frozenset(range(400)), frozenset(range(400, 800))}
