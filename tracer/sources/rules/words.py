"""Values inside rules: networks, ranges of addresses, ports and protocols."""

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network, summarize_address_range

from tracer.core.address import V4_PREFIX
from tracer.core.nat_rules.rule import Network, Range

PROTOCOLS = {
    "icmp": 1, "igmp": 2, "tcp": 6, "udp": 17, "dccp": 33, "gre": 47, "esp": 50, "ah": 51,
    "icmpv6": 58, "ipv6-icmp": 58, "sctp": 132, "udplite": 136,
}  # fmt: skip


def networks(text: str) -> tuple[Network, ...]:
    """Return the networks of an address, CIDR, address/mask or FIRST-LAST; raises ValueError."""
    first, dash, last = text.strip("[]").partition("-")
    if not dash:
        found = ip_network(first, strict=False)
        return (_mapped(found.network_address, found.prefixlen),)
    ends = ip_address(first), ip_address(last)
    if isinstance(ends[0], IPv4Address) and isinstance(ends[1], IPv4Address):
        parts = list(summarize_address_range(ends[0], ends[1]))
        return tuple(_mapped(part.network_address, part.prefixlen) for part in parts)
    if isinstance(ends[0], IPv6Address) and isinstance(ends[1], IPv6Address):
        wide = list(summarize_address_range(ends[0], ends[1]))
        return tuple(_mapped(part.network_address, part.prefixlen) for part in wide)
    raise ValueError(f"{text!r} is no range of addresses")


def ranges(text: str) -> tuple[Range, ...]:
    """Return the port ranges of `80`, `http`, `1024:2048`, `1024-2048` or a list of these with
    commas; raises ValueError.
    """
    return tuple(_range(part.strip()) for part in text.split(","))


def protocol(text: str) -> Range:
    """Return a protocol's number as a range of one; raises ValueError."""
    number = PROTOCOLS.get(text.lower())
    number = int(text) if number is None else number
    return number, number


def _range(text: str) -> Range:
    first, colon, last = text.replace("-", ":").partition(":") if text[:1].isdigit() else (
        text, "", ""
    )  # fmt: skip
    if not colon:
        return _port(first), _port(first)
    return _port(first or "0"), _port(last or "65535")


def _port(text: str) -> int:
    number = int(text) if text.isdigit() else _service(text)
    if not 0 <= number <= 0xFFFF:
        raise ValueError(f"{text} is no port")
    return number


def _service(text: str) -> int:
    try:
        return socket.getservbyname(text)
    except OSError as error:
        raise ValueError(f"{text!r} is no service") from error


def _mapped(address: IPv4Address | IPv6Address, length: int) -> Network:
    if isinstance(address, IPv4Address):
        return V4_PREFIX | int(address), 96 + length
    return int(address), length
