"""Which tuples one NAT can make of each other."""

import numpy as np
import pytest

from tracer.core.address import encode_ip
from tracer.core.schema import PACKET_DTYPE
from tracer.correlate.nat.tuples import are_translations


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (("fd00::1", "fd00::9"), ("fd00::7", "fd00::9"), True),
        (("fd00::1", "fd00::9"), ("fd00::1", "fd00::8"), True),
        (("fd00::1", "fd00::9"), ("fd00::7", "fd00::8"), False),
        (("fe80::1", "ff02::16"), ("fe80::2", "ff02::16"), False),  # reports of two hosts
        (("fd00::1", "ff02::16"), ("fe80::2", "ff02::16"), False),
        (("10.0.0.1", "10.0.0.9"), ("10.0.0.7", "10.0.0.9"), True),
    ],
)
def test_one_side_changes_and_nothing_link_local(
    before: tuple[str, str], after: tuple[str, str], expected: bool
) -> None:
    packets = np.zeros(2, PACKET_DTYPE)
    for row, (src, dst) in zip(packets, (before, after), strict=True):
        row["ip_version"], row["proto"], row["icmp_type"] = 6 if ":" in src else 4, 58, 143
        row["sport"] = row["dport"] = row["icmp_id"] = -1
        row["src_hi"], row["src_lo"] = encode_ip(src)
        row["dst_hi"], row["dst_lo"] = encode_ip(dst)
    assert are_translations(packets, np.array([0]), np.array([1])).tolist() == [expected]
