"""Addresses as integers, the form the columns hold.

An IP address is two uint64 (`hi`, `lo`), IPv4 mapped as ::ffff:a.b.c.d (RFC 4291, 2.5.5.2): one
comparison serves both families; null is all ones in both. A MAC is a uint64; null is all ones.
"""

import ipaddress

NULL_U64 = 0xFFFF_FFFF_FFFF_FFFF
V4_PREFIX = 0xFFFF_0000_0000
GROUP_BIT = 1 << 40  # of a MAC to which several stations listen (IEEE 802, I/G)
_MASK64 = NULL_U64


def encode_ip(text: str) -> tuple[int, int]:
    """Return (hi, lo) of an IPv4 or IPv6 address; raises ValueError when it is neither."""
    address = ipaddress.ip_address(text)
    if address.version == 4:
        return 0, V4_PREFIX | int(address)
    return int(address) >> 64, int(address) & _MASK64


def decode_ip(hi: int, lo: int) -> str | None:
    """Return the text of an address pair, None for null."""
    if hi == NULL_U64 and lo == NULL_U64:
        return None
    if hi == 0 and lo >> 32 == 0xFFFF:
        return str(ipaddress.IPv4Address(lo & 0xFFFF_FFFF))
    return str(ipaddress.IPv6Address(hi << 64 | lo))


def encode_mac(text: str) -> int:
    """Return the uint64 of a MAC written with colons or dashes; raises ValueError."""
    parts = text.replace("-", ":").split(":")
    if len(parts) != 6 or any(not 1 <= len(part) <= 2 for part in parts):
        raise ValueError(f"{text!r} is not a MAC address")
    return int("".join(part.zfill(2) for part in parts), 16)


def decode_mac(value: int) -> str | None:
    """Return `fa:16:3e:…` for a MAC column value, None for null."""
    if value == NULL_U64:
        return None
    return ":".join(f"{value >> shift & 0xFF:02x}" for shift in range(40, -8, -8))


def encode_network(text: str) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return ((hi, lo), (mask_hi, mask_lo)) of an address or CIDR; raises ValueError."""
    network = ipaddress.ip_network(text, strict=False)
    prefix = network.prefixlen + (96 if network.version == 4 else 0)
    mask = ((1 << prefix) - 1) << (128 - prefix) if prefix else 0
    hi, lo = encode_ip(str(network.network_address))
    return (hi, lo), (mask >> 64, mask & _MASK64)
