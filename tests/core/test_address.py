"""Addresses to integers and back, against the standard library and by property."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracer.core.address import (
    NULL_U64,
    decode_ip,
    decode_mac,
    encode_ip,
    encode_mac,
    encode_network,
)


@given(st.ip_addresses())
def test_an_address_survives_encoding(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    hi, lo = encode_ip(str(address))
    shown = decode_ip(hi, lo)
    assert shown is not None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    if hi == lo == NULL_U64:
        raise AssertionError("null is not an address")
    assert ipaddress.ip_address(shown) == (mapped or address)


def test_ipv4_is_mapped_into_ipv6() -> None:
    assert encode_ip("192.168.3.69") == (0, int(ipaddress.IPv6Address("::ffff:192.168.3.69")))


def test_null_address_is_none() -> None:
    assert decode_ip(NULL_U64, NULL_U64) is None


@given(st.integers(0, (1 << 48) - 1))
def test_a_mac_survives_encoding(value: int) -> None:
    shown = decode_mac(value)
    assert shown is not None
    assert len(shown) == 17
    assert encode_mac(shown) == value


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("fa:16:3e:a4:58:8d", "fa:16:3e:a4:58:8d"),
        ("FA-16-3E-A4-58-8D", "fa:16:3e:a4:58:8d"),
        ("0:1e:8:e:bc:45", "00:1e:08:0e:bc:45"),
    ],
)
def test_macs_are_read_as_people_write_them(text: str, shown: str) -> None:
    assert decode_mac(encode_mac(text)) == shown


@pytest.mark.parametrize(
    "text", ["b:", "", "fa:16:3e:a4:58", "fa:16:3e:a4:58:8d:00", "g:0:0:0:0:0"]
)
def test_what_is_no_mac_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 -- int() and ours word it differently
        encode_mac(text)


def test_null_mac_is_none() -> None:
    assert decode_mac(NULL_U64) is None


@given(st.ip_addresses(), st.data())
def test_a_network_holds_the_addresses_it_should(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, data: st.DataObject
) -> None:
    length = data.draw(st.integers(0, address.max_prefixlen))
    network = ipaddress.ip_network(f"{address}/{length}", strict=False)
    other = data.draw(st.ip_addresses(v=address.version))
    (base_hi, base_lo), (mask_hi, mask_lo) = encode_network(str(network))
    hi, lo = encode_ip(str(other))
    assert (hi & mask_hi == base_hi and lo & mask_lo == base_lo) == (other in network)


def test_the_whole_of_ipv4_is_not_the_whole_of_ipv6() -> None:
    _, (mask_hi, mask_lo) = encode_network("0.0.0.0/0")
    hi, lo = encode_ip("2001:db8::1")
    assert (hi & mask_hi, lo & mask_lo) != encode_ip("0.0.0.0")
