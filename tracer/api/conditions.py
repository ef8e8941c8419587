"""FILTER as keyword arguments: the same names as the options of the commands."""

from collections.abc import Iterable
from dataclasses import asdict
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from operator import index
from typing import Any, SupportsIndex, TypedDict, cast

from tracer.core.address import encode_network
from tracer.core.errors import InputError
from tracer.core.filter import FlowFilter
from tracer.core.protocols import PROTOCOLS, protocol_name

# A text or a network would give its letters, or its addresses, one by one.
Address = str | IPv4Address | IPv6Address | IPv4Network | IPv6Network
Addresses = Address | Iterable[Address]
Ports = SupportsIndex | Iterable[SupportsIndex]


class Conditions(TypedDict, total=False):
    """Conditions that all have to hold at one hop of an exchange, on either side of NAT.

    `icmp_id`: echo identifier. `proto`: `icmp`, `tcp`, `udp`, `icmpv6`, `arp` or a number. `host`,
    `src`, `dst`: an address or CIDR, or several of them. `port`, `sport`, `dport`: one or several.
    """

    icmp_id: SupportsIndex | None
    proto: str | int | None
    host: Addresses
    src: Addresses
    dst: Addresses
    port: Ports
    sport: Ports
    dport: Ports


_NAMES = frozenset(Conditions.__annotations__)


def flow_filter(conditions: Conditions) -> FlowFilter:
    """Return keyword arguments as a filter.

    Raises TypeError for an unknown name, InputError for a value that is no address, port or
    protocol.
    """
    unknown = sorted(set(conditions) - _NAMES)
    if unknown:
        raise TypeError(f"unknown condition {unknown[0]!r}; there are {', '.join(sorted(_NAMES))}")
    return FlowFilter(
        icmp_id=_number(conditions.get("icmp_id"), 0xFFFF, "ICMP id"),
        proto=_protocol(conditions.get("proto")),
        host=_networks(conditions.get("host", ())),
        src=_networks(conditions.get("src", ())),
        dst=_networks(conditions.get("dst", ())),
        port=_ports(conditions.get("port", ())),
        sport=_ports(conditions.get("sport", ())),
        dport=_ports(conditions.get("dport", ())),
    )


def words_of(chosen: FlowFilter) -> str:
    """Return a filter in words, as a report shows it."""
    found: dict[str, int | str | tuple[int | str, ...] | None] = asdict(chosen)
    if chosen.proto is not None:
        found["proto"] = protocol_name(chosen.proto)
    words = []
    for name, value in found.items():
        values = value if isinstance(value, tuple) else () if value is None else (value,)
        if values:
            words.append(f"{name.replace('_', ' ')} {' or '.join(str(each) for each in values)}")
    return ", ".join(words)


def _number(value: SupportsIndex | None, most: int, what: str) -> int | None:
    if value is None:
        return None
    try:
        number = index(value)  # of numpy and pandas, too
    except TypeError:
        number = -1
    if not 0 <= number <= most:
        raise InputError(f"{value!r} is not a valid {what}.", f"Give a number from 0 to {most}.")
    return number


def _protocol(value: str | int | None) -> int | None:
    name = str(value).lower()
    if value is None or name in PROTOCOLS:
        return None if value is None else PROTOCOLS[name]
    if name.isdecimal():
        return _number(int(name), 255, "IP protocol number")
    raise InputError(f"{value!r} is not a protocol.", f"Give {', '.join(PROTOCOLS)} or a number.")


def _networks(value: Addresses) -> tuple[str, ...]:
    is_one = isinstance(value, Address) or not isinstance(value, Iterable)
    texts = (str(value),) if is_one else tuple(str(each) for each in cast(Iterable[Any], value))
    for text in texts:
        try:
            encode_network(text)
        except ValueError as error:
            raise InputError(
                f"{text!r} is not an IP address or CIDR.",
                "Give one such as 192.0.2.7 or 10.0.0.0/8.",
            ) from error
    return texts


def _ports(value: Ports) -> tuple[int, ...]:
    is_one = isinstance(value, str) or not isinstance(value, Iterable)
    numbers: Any = (value,) if is_one else value
    return tuple(n for each in numbers if (n := _number(each, 0xFFFF, "port")) is not None)
