"""Pseudonyms of addresses: prefixes, classes and identities are kept, nothing else."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracer.core.address import NULL_U64, decode_ip, decode_mac, encode_ip, encode_mac
from tracer.core.redaction.addresses import AddressPseudonyms

ONE, OTHER = AddressPseudonyms(b"one"), AddressPseudonyms(b"other")
V4, V6 = st.integers(0, 2**32 - 1), st.integers(0, 2**128 - 1)


def redacted(text: str, by: AddressPseudonyms = ONE) -> str:
    return decode_ip(*by.ip(*encode_ip(text))) or "null"


def mapped(address: int, width: int) -> int:
    kind = ipaddress.IPv4Address if width == 32 else ipaddress.IPv6Address
    return int(ipaddress.ip_address(redacted(str(kind(address)))))


def common(one: int, other: int, width: int) -> int:
    return width - (one ^ other).bit_length()


@given(V4, V4, st.integers(0, 32))
def test_prefixes_of_ipv4_are_kept(one: int, other: int, shared: int) -> None:
    other = one >> 32 - shared << 32 - shared | other & (1 << 32 - shared) - 1
    assert common(mapped(one, 32), mapped(other, 32), 32) == common(one, other, 32)


@given(V6, V6, st.integers(0, 128))
def test_prefixes_of_ipv6_are_kept(one: int, other: int, shared: int) -> None:
    other = one >> 128 - shared << 128 - shared | other & (1 << 128 - shared) - 1
    # IPv4 in the columns' form, and what means that there is no address.
    if any(a >> 32 == 0xFFFF or a == (1 << 128) - 1 for a in (one, other)):
        return
    assert common(mapped(one, 128), mapped(other, 128), 128) == common(one, other, 128)


@pytest.mark.parametrize(
    "network",
    ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16",
     "224.0.0.0/4", "127.0.0.0/8", "fe80::/10", "ff02::/16", "ff05::/16", "fc00::/7",
     "ff02::1:ff00:0/104"],
)  # fmt: skip
def test_classes_are_kept_both_ways(network: str) -> None:
    inside = ipaddress.ip_network(network)
    size = inside.num_addresses
    for offset in (0, 1, size // 3, size // 2, size - 1):
        address = inside.network_address + offset
        assert ipaddress.ip_address(redacted(str(address))) in inside
    for outside in (inside.network_address - 1, inside.broadcast_address + 1):
        assert ipaddress.ip_address(redacted(str(outside))) not in inside


@pytest.mark.parametrize(
    "text",
    ["0.0.0.0", "127.0.0.1", "127.0.0.53", "255.255.255.255", "224.0.0.1", "224.0.0.251",
     "::", "::1", "ff02::1", "ff02::fb"],
)  # fmt: skip
def test_what_names_nobody_stays(text: str) -> None:
    assert redacted(text) == text


def test_everything_else_moves_and_by_the_key() -> None:
    for text in ("192.168.3.69", "100.122.0.145", "8.8.8.8", "2001:db8::1", "fe80::f816:3eff:1"):
        assert redacted(text) != text
        assert redacted(text) != redacted(text, OTHER)
        assert redacted(text) == redacted(text, AddressPseudonyms(b"one"))
    assert ONE.ip(NULL_U64, NULL_U64) == (NULL_U64, NULL_U64)


def test_half_of_the_free_bits_move() -> None:
    # Of 4096 addresses below 32.0.0.0/4, each of the 28 bits after it flips for about half.
    flips = [mapped(0x2000_0000 + n * 65_521, 32) ^ (0x2000_0000 + n * 65_521) for n in range(4096)]
    for bit in range(8):
        assert 0.4 < sum(flip >> bit & 1 for flip in flips) / 4096 < 0.6


def mac(text: str, by: AddressPseudonyms = ONE) -> str:
    return decode_mac(by.mac(encode_mac(text))) or "null"


@pytest.mark.parametrize(
    "text", ["ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00", "01:80:c2:00:00:0e", "33:33:00:00:00:01",
             "01:00:5e:00:00:fb"],
)  # fmt: skip
def test_macs_that_name_nobody_stay(text: str) -> None:
    assert mac(text) == text


@given(st.integers(1, 2**48 - 2))
def test_group_and_local_bits_stay(value: int) -> None:
    assert (ONE.mac(value) ^ value) & 0x0300_0000_0000 == 0
    assert ONE.mac(value) < 1 << 48


def test_vendors_cannot_be_linked() -> None:
    ports = [mac(f"fa:16:3e:00:00:{n:02x}") for n in range(64)]
    assert len({port[:8] for port in ports}) == 64
    assert mac("01:00:5e:01:02:03").startswith("01:00:5e:")
    assert mac("33:33:ff:a4:58:8d").startswith("33:33:ff:")
    assert mac("33:33:ff:a4:58:8d") != "33:33:ff:a4:58:8d"
    assert mac("33:33:00:01:00:03").startswith("33:33:")
    assert mac("00:1e:08:0e:bc:45") != mac("00:1e:08:0e:bc:45", OTHER)
    assert ONE.mac(NULL_U64) == NULL_U64
