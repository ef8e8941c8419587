import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracer.core.address import encode_ip
from tracer.sources.rules.words import networks, protocol, ranges


@given(st.ip_addresses(), st.ip_addresses(), st.ip_addresses())
def test_a_range_holds_what_lies_between(
    one: ipaddress.IPv4Address, two: ipaddress.IPv4Address, probe: ipaddress.IPv4Address
) -> None:
    if len({one.version, two.version, probe.version}) > 1:
        return
    first, last = sorted((one, two))
    hi, lo = encode_ip(str(probe))
    number = hi << 64 | lo
    held = any(
        number >> (128 - length) == address >> (128 - length)
        for address, length in networks(f"{first}-{last}")
    )
    assert held == (first <= probe <= last)


def test_ports() -> None:
    assert ranges("80") == ((80, 80),)
    assert ranges("http, 1024:2048,5000-5001") == ((80, 80), (1024, 2048), (5000, 5001))
    assert ranges("1024:") == ((1024, 65535),)
    for wrong in ("no-such-service", "70000", ""):
        with pytest.raises(ValueError, match=r"port|service"):
            ranges(wrong)


def test_protocols() -> None:
    assert [protocol(text) for text in ("TCP", "ipv6-icmp", "89")] == [(6, 6), (58, 58), (89, 89)]
    with pytest.raises(ValueError, match="none"):
        protocol("none")
