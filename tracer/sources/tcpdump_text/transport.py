"""What tcpdump prints after the addresses: TCP, UDP, ICMP, ICMPv6."""

import re

from tracer.core.enums import Decode
from tracer.sources.tcpdump_text.icmp import parse_icmp, parse_icmp6
from tracer.sources.tcpdump_text.parsed import Parsed

CHECKSUM = re.compile(r"(?:\[(?:bad )?(?:udp|icmp6|tcp) (?:sum|cksum)[^\]]*\]|\[no cksum\])\s*")
_FRAGMENT6 = re.compile(r"frag \((?:0x([0-9a-f]+):)?(\d+)\|(\d+)\)\s*")
_EXTENSION = re.compile(r"(?:HBH|DSTOPT|RT6|srcrt|mobility)(?: ?\([^()]*\))*\s*")
_PORTS6 = re.compile(r"(\S+) > (\S+?):\s*")
_CUT = re.compile(r"\[\|(?:ip6?|tcp|udp|icmp6?|gre|vxlan|geneve|hbhopt|frag|sctp)\]")
EXTENSIONS = (0, 43, 44, 60)  # IPv6 headers between the fixed one and the protocol's (RFC 8200)
_FLAGS = re.compile(r"Flags \[([^\]]*)\]")
_SEQ = re.compile(r", seq (\d+)(?::(\d+))?")
_ACK = re.compile(r", ack (\d+)")
_WINDOW = re.compile(r", win (\d+)")
_STAMPS = re.compile(r"TS val (\d+) ecr (\d+)")
_LENGTH = re.compile(r"[, ]length:? (\d+)")
_QUICK = re.compile(r"tcp (\d+)")
_COUNT = re.compile(r"\((\d+)\)\s*$")
_NAMED = re.compile(r"ip-proto-(\d+)|(tcp|udp|icmp|sctp|esp|ah|igmp|pim|ospf|vrrp|gre)\b", re.I)
_NUMBERS = {"tcp": 6, "udp": 17, "icmp": 1, "sctp": 132, "esp": 50, "ah": 51, "igmp": 2,
            "pim": 103, "ospf": 89, "vrrp": 112, "gre": 47}  # fmt: skip
_BITS = {"F": 0x01, "S": 0x02, "R": 0x04, "P": 0x08, ".": 0x10, "U": 0x20, "E": 0x40, "W": 0x80,
         "e": 0x100}  # fmt: skip
# With -e and no -v a tunneled packet starts with its addresses.
_ADDRESS_PAIR = re.compile(r"([0-9a-f:.]*[.:][0-9a-f:.]+) > [0-9a-f:.]+: ")
UNDECODED = -1


def guess_proto(rest: str, source: str) -> int:
    """Return the IP protocol a packet's text shows without `-v`, -1 when it does not."""
    text = _extensions(rest, None)
    if text.startswith("ICMP6"):
        return 58
    if text.startswith("ICMP "):
        return 1
    if text.startswith(("Flags [", "tcp ")):
        return 6
    if text.startswith(("IP6 ", "IP ")):
        return 41 if text.startswith("IP6") else 4
    if inner := _ADDRESS_PAIR.match(text):
        return 41 if ":" in inner[1] else 4
    if text.startswith("GREv"):
        return 47
    named = _NAMED.match(text)
    if named and not text.startswith("UDP"):
        return int(named[1]) if named[1] else _NUMBERS[named[2].lower()]
    if text.startswith("UDP") or _has_port(source):
        return 17
    return UNDECODED


# 10.0.0.1.53 and fe80::1.53 have a port; TCP was recognised by its flags before.
def _has_port(source: str) -> bool:
    host, _, port = source.rpartition(".")
    return port.isdigit() and (host.count(".") == 3 or ":" in host)


def parse_transport(rest: str, proto: int, parsed: Parsed) -> None:
    """Fill the transport columns from the text after `SRC > DST:`."""
    packet = parsed.packet
    text = _extensions(rest, parsed)
    if _CUT.search(text.partition("\n")[0]):
        parsed.set_decode(Decode.TRUNCATED)
    if proto >= 0:
        packet["proto"] = proto
    elif packet.get("proto") in EXTENSIONS:
        packet.pop("proto")
    if packet.get("frag_offset", 0) > 0 or text.startswith("ip-proto-"):
        _later_fragment(parsed)
    elif proto in _PARSERS:
        _PARSERS[proto](text, parsed)
        parsed.set_decode(Decode.COMPLETE)
    else:
        parsed.set_decode(Decode.UNKNOWN_PROTOCOL)


# IPv6 extension headers precede the protocol, and the ports follow them.
def _extensions(rest: str, parsed: Parsed | None) -> str:
    text = rest
    has_any = False
    while match := _EXTENSION.match(text) or _FRAGMENT6.match(text):
        if match.re is _FRAGMENT6 and parsed is not None:
            parsed.packet["frag_offset"] = int(match[2])
            if match[1]:
                parsed.packet["ip_id"] = int(match[1], 16)
        text, has_any = text[match.end() :], True
        if parsed is not None:
            parsed.has_options = True
    ports = _PORTS6.match(text) if has_any else None
    if ports is not None:
        text = text[ports.end() :]
        for name, port in (("sport", ports[1]), ("dport", ports[2])):
            if port.isdigit() and parsed is not None:
                parsed.packet[name] = int(port)
    return CHECKSUM.sub("", text, count=1)


def _later_fragment(parsed: Parsed) -> None:
    for name in ("sport", "dport"):
        parsed.packet.pop(name, None)
    parsed.set_decode(Decode.COMPLETE)


def _tcp(text: str, parsed: Parsed) -> None:
    packet = parsed.packet
    if quick := _QUICK.match(text):
        packet["payload_len"] = int(quick[1])
        return
    line = text.partition("\n")[0]
    flags = _FLAGS.match(line)
    if flags:
        packet["tcp_flags"] = 0 if flags[1] == "none" else sum(map(_bit, flags[1]))
    for name, pattern in (("tcp_seq", _SEQ), ("tcp_ack", _ACK), ("tcp_window", _WINDOW)):
        if match := pattern.search(line):
            packet[name] = int(match[1])
    if stamps := _STAMPS.search(line):
        packet["tcp_tsval"], packet["tcp_tsecr"] = int(stamps[1]), int(stamps[2])
    if length := _LENGTH.search(line):
        packet["payload_len"] = int(length[1])


def _bit(letter: str) -> int:
    return _BITS.get(letter, 0)


def _udp(text: str, parsed: Parsed) -> None:
    packet = parsed.packet
    header = 40 if packet.get("ip_version") == 6 else 20
    if packet.get("ip_len", -1) >= header + 8 and not parsed.has_options:
        packet["payload_len"] = packet["ip_len"] - header - 8
        return
    line = text.partition("\n")[0]
    found = _COUNT.search(line) or _LENGTH.search(line)
    if found:
        packet["payload_len"] = int(found[1])


_PARSERS = {1: parse_icmp, 6: _tcp, 17: _udp, 58: parse_icmp6}
