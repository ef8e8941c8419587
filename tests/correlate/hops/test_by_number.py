"""Pings that have nothing but their number in common claim no confidence: two hosts look alike."""

import numpy as np
import pytest
from hand_made import SECOND

from tracer.core.address import encode_ip
from tracer.core.batch import ObservationBatch
from tracer.core.enums import Evidence
from tracer.core.point import Point
from tracer.core.schema import PACKET_DTYPE, null_record
from tracer.correlate.join import join

HOSTS = (("10.0.0.1", "192.0.2.8", 100), ("10.9.0.7", "198.51.100.1", 200))
COUNT = 20


def two_pings(target: str, constant: bool) -> ObservationBatch:
    """Two hosts, each captured once, that ping 50 ms apart, without IP ids."""
    rows = []
    for point, (src, dst, ident) in enumerate(HOSTS):
        for number in range(COUNT):
            row = null_record(PACKET_DTYPE)
            row["time_ns"] = SECOND * (1000 + number) + point * SECOND // 20
            row["point"] = row["capture"] = point
            row["frame"] = number + 1
            row["ip_version"], row["proto"], row["ttl"], row["ip_id"] = 4, 1, 64 - point, 0
            row["src_hi"], row["src_lo"] = encode_ip(src)
            row["dst_hi"], row["dst_lo"] = encode_ip(target or dst)
            row["icmp_type"], row["icmp_code"], row["icmp_id"] = 8, 0, ident
            row["icmp_seq"], row["ip_len"], row["payload_len"] = number, 84, 56
            row["payload_digest"] = 7 if constant else 7 + number
            row["src_mac"], row["dst_mac"] = 2 * point + 1, 2 * point + 2
            row["ethertype"], row["frag_offset"], row["more_fragments"] = 0x0800, 0, 0
            rows.append(row)
    points = tuple(Point(host, None, "eth0", capture=host) for host in "ab")
    return ObservationBatch(np.concatenate(rows), points=points, captures=("a", "b"))


@pytest.mark.parametrize("constant", [True, False])
def test_a_number_alone_claims_nothing(constant: bool) -> None:
    found = join(two_pings("", constant))
    steps = found.hops[found.hops["parent"] > 0]
    assert len(steps) == COUNT
    if constant:  # it may be one ping through several NATs, or two
        assert np.isnan(steps["confidence"]).all()
        assert (steps["evidence"] == Evidence.SEQUENCE).all()
    else:  # bytes of their own are no coincidence
        assert (steps["confidence"] > 0.9).all()


def test_a_side_that_stays_is_more_than_the_number() -> None:
    found = join(two_pings("192.0.2.8", constant=True))
    steps = found.hops[found.hops["parent"] > 0]
    assert len(steps) == COUNT
    assert not np.isnan(steps["confidence"]).any()
