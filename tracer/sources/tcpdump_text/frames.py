"""The link part of a printed packet (`-e`, `-i any`, 802.1Q, MPLS), down to its network header."""

import re

from tracer.core.enums import Decode
from tracer.core.point import Direction
from tracer.sources.tcpdump_text.arp import parse_arp
from tracer.sources.tcpdump_text.network import parse_ip
from tracer.sources.tcpdump_text.parsed import Parsed, mac

_MAC = r"(?:[0-9A-Fa-f]{1,2}(?::[0-9A-Fa-f]{1,2}){5}|Broadcast)"
_OUI = r"(?: \(oui [^)]*\))?"
_ETHERNET = re.compile(rf"({_MAC}){_OUI} > ({_MAC}){_OUI}, ")
_COOKED = re.compile(
    rf"(?:(?P<device>\S+) +)?(?P<way>In|Out|B|M|P) +"
    rf"(?:ifindex (?P<ifindex>\d+) )?(?:(?P<mac>{_MAC}){_OUI} )?"
)
_TYPE = re.compile(r"ethertype ([^,(]+?)(?: \((0x[0-9a-f]{4})\))?, (?:length (\d+): ?)?")
_LENGTH = re.compile(r"(?:802\.3, |LLC, )?length (\d+): ?")
_VLAN = re.compile(
    r"vlan (\d+), p \d(?:, DEI)?, (?:ethertype ([^,(]+?)(?: \((0x[0-9a-f]{4})\))?, )?"
)
_MPLS = re.compile(r"MPLS \(label (\d+)[^)]*\)(?:\s*\(label[^)]*\))*,?\s*")
_NETWORK = re.compile(r"\s*(IP6?|ARP|RARP)(?:,| |$)\s*")
ETHERTYPES = {
    "IPv4": 0x0800, "IPv6": 0x86DD, "ARP": 0x0806, "Reverse ARP": 0x8035, "LLDP": 0x88CC,
    "MPLS unicast": 0x8847, "EAPOL": 0x888E, "802.1Q": 0x8100, "802.1Q-QinQ": 0x88A8,
}  # fmt: skip
_WAYS = {"Out": Direction.EGRESS}


def parse_frame(text: str, parsed: Parsed) -> None:
    """Fill `parsed` from a packet's text, lines joined by newlines, stamp removed."""
    text = _cooked(text, parsed)
    match = _ETHERNET.match(text)
    if match:
        _set_mac(parsed, "src_mac", match[1])
        _set_mac(parsed, "dst_mac", match[2])
        text = text[match.end() :]
    text, kind = _types(text, parsed)
    text = _labels(text, parsed)
    _network(text, kind, parsed)


def _cooked(text: str, parsed: Parsed) -> str:
    match = _COOKED.match(text)
    if match is None:
        return text
    parsed.device = match["device"]
    parsed.direction = _WAYS.get(match["way"], Direction.INGRESS)
    if match["mac"]:
        _set_mac(parsed, "src_mac", match["mac"])
    return text[match.end() :]


def _set_mac(parsed: Parsed, name: str, text: str) -> None:
    value = mac(text)
    if value is not None:
        parsed.packet[name] = value


def _types(text: str, parsed: Parsed) -> tuple[str, int | None]:
    kind: int | None = None
    match = _TYPE.match(text) or _LENGTH.match(text)
    if match is None:
        return _tags(text, None, parsed)
    if match.re is _TYPE:
        kind = _ethertype(match[1], match[2])
    length = match[match.re.groups]
    if length:
        parsed.packet["wire_len"] = int(length)
    return _tags(text[match.end() :], kind, parsed)


def _tags(text: str, kind: int | None, parsed: Parsed) -> tuple[str, int | None]:
    names = iter(("vlan", "vlan_inner"))
    while match := _VLAN.match(text):
        name = next(names, None)
        if name is not None:
            parsed.packet[name] = int(match[1])
        if match[2]:
            kind = _ethertype(match[2], match[3])
        text = text[match.end() :]
    if kind is not None:
        parsed.packet["ethertype"] = kind
    return text, kind


def _labels(text: str, parsed: Parsed) -> str:
    match = _MPLS.match(text)
    if match is None:
        return text
    parsed.packet["mpls_label"] = int(match[1])
    return text[match.end() :]


def _ethertype(name: str, number: str | None) -> int | None:
    return int(number, 16) if number else ETHERTYPES.get(name)


def _network(text: str, kind: int | None, parsed: Parsed) -> None:
    match = _NETWORK.match(text)
    if match:
        kind = {"IP": 0x0800, "IP6": 0x86DD, "ARP": 0x0806, "RARP": 0x8035}[match[1]]
        parsed.packet["ethertype"] = kind
        text = text[match.end() :]
    if kind in (0x0806, 0x8035):
        parse_arp(text, parsed)
    elif kind in (0x0800, 0x86DD, 0x8847):
        parse_ip(text, 6 if kind == 0x86DD else 4, parsed, parse_frame)
        if kind == 0x8847 and not parsed.tunnel:
            parsed.packet["ethertype"] = 0x86DD if parsed.packet["ip_version"] == 6 else 0x0800
    elif text.lstrip().startswith("[|"):
        parsed.set_decode(Decode.TRUNCATED)
    else:
        parsed.set_decode(Decode.NOT_IP)
