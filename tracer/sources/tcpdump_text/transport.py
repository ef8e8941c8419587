"""What tcpdump prints after the addresses: TCP, UDP, ICMP, ICMPv6."""

import re

from tracer.core.enums import Decode
from tracer.sources.tcpdump_text.icmp import parse_icmp, parse_icmp6
from tracer.sources.tcpdump_text.parsed import Parsed

CHECKSUM = re.compile(r"(?:\[(?:bad )?(?:udp|icmp6|tcp) (?:sum|cksum)[^\]]*\]|\[no cksum\])\s*")
_FRAGMENT6 = re.compile(r"frag \((?:0x([0-9a-f]+):)?(\d+)\|(\d+)\)\s*(?:(\S+) > (\S+?):\s*)?")
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


def guess_proto(rest: str, source: str, proto: int) -> int:
    """Return the IP protocol a packet's text shows without `-v`, -1 when it does not."""
    text = CHECKSUM.sub("", rest, count=1)
    if proto == 44 or text.startswith("frag ("):
        fragment = _FRAGMENT6.match(text)
        text = text[fragment.end() :] if fragment else text
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
    text = CHECKSUM.sub("", rest, count=1)
    if match := _FRAGMENT6.match(text):
        _fragment6(match, parsed)
        text = text[match.end() :]
    if "[|" in text.partition("\n")[0]:
        parsed.set_decode(Decode.TRUNCATED)
    if proto >= 0:
        packet["proto"] = proto
    if packet.get("frag_offset", 0) > 0 or text.startswith("ip-proto-"):
        _later_fragment(parsed)
    elif proto in _PARSERS:
        _PARSERS[proto](text, parsed)
        parsed.set_decode(Decode.COMPLETE)
    else:
        parsed.set_decode(Decode.UNKNOWN_PROTOCOL)


def _fragment6(match: re.Match[str], parsed: Parsed) -> None:
    packet = parsed.packet
    packet["frag_offset"] = int(match[2])
    if match[1]:
        packet["ip_id"] = int(match[1], 16)
    for name, port in (("sport", match[4]), ("dport", match[5])):
        if port and port.isdigit():
            packet[name] = int(port)


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
    if packet.get("ip_len", -1) >= header + 8 and not _has_options(packet):
        packet["payload_len"] = packet["ip_len"] - header - 8
        return
    line = text.partition("\n")[0]
    found = _COUNT.search(line) or _LENGTH.search(line)
    if found:
        packet["payload_len"] = int(found[1])


def _has_options(packet: dict[str, int]) -> bool:
    return packet.get("ip_version") == 6 and packet.get("frag_offset") is not None


_PARSERS = {1: parse_icmp, 6: _tcp, 17: _udp, 58: parse_icmp6}
