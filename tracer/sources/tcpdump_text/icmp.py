"""Printed ICMP (print-icmp.c, RFC 792) and ICMPv6 (print-icmp6.c, RFC 4443)."""

import re

from tracer.core.enums import Decode
from tracer.sources.tcpdump_text.parsed import Parsed, address

_ECHO = re.compile(r"ICMP6?,? echo (request|reply)(?:, id (\d+), seq (\d+))?")
_LENGTH = re.compile(r", length:? (\d+)")
_PORT = re.compile(
    r"(\S+) (udp|tcp)? ?port (\S+) unreachable|unreachable port, (\S+) (udp|tcp) port (\S+)"
)
_ABOUT = re.compile(
    r"(?:ICMP (?:host |net |redirect )?|for |address |route |prohibited )(\S+?)(?:,| |$)"
)

# First pattern that matches names type and code; more particular ones come first.
_ERRORS: tuple[tuple[str, int, int], ...] = (
    (r"ICMP \S+ protocol \S+ unreachable", 3, 2),
    (r"ICMP \S+ (?:udp |tcp )?port \S+ unreachable", 3, 3),
    (r"ICMP \S+ unreachable - need to frag", 3, 4),
    (r"ICMP \S+ unreachable - source route failed", 3, 5),
    (r"ICMP net \S+ unreachable - unknown", 3, 6),
    (r"ICMP host \S+ unreachable - unknown", 3, 7),
    (r"ICMP \S+ unreachable - source host isolated", 3, 8),
    (r"ICMP net \S+ unreachable - admin prohibited", 3, 9),
    (r"ICMP host \S+ unreachable - admin prohibited filter", 3, 13),
    (r"ICMP host \S+ unreachable - admin prohibited", 3, 10),
    (r"ICMP net \S+ unreachable - tos prohibited", 3, 11),
    (r"ICMP host \S+ unreachable - tos prohibited", 3, 12),
    (r"ICMP host \S+ unreachable - host precedence violation", 3, 14),
    (r"ICMP host \S+ unreachable - precedence cutoff", 3, 15),
    (r"ICMP net \S+ unreachable", 3, 0),
    (r"ICMP host \S+ unreachable", 3, 1),
    (r"ICMP redirect-tos \S+ to net", 5, 2),
    (r"ICMP redirect-tos \S+ to host", 5, 3),
    (r"ICMP redirect \S+ to net", 5, 0),
    (r"ICMP redirect \S+ to host", 5, 1),
    (r"ICMP time exceeded in-transit", 11, 0),
    (r"ICMP ip reassembly time exceeded", 11, 1),
    (r"ICMP source quench", 4, 0),
    (r"ICMP parameter problem", 12, 0),
)
_OTHERS: tuple[tuple[str, int], ...] = (
    (r"ICMP router advertisement", 9),
    (r"ICMP router solicitation", 10),
    (r"ICMP time stamp query", 13),
    (r"ICMP time stamp reply", 14),
    (r"ICMP information request", 15),
    (r"ICMP information reply", 16),
    (r"ICMP address mask request", 17),
    (r"ICMP address mask is", 18),
)
_ERRORS6: tuple[tuple[str, int, int], ...] = (
    (r"ICMP6, destination unreachable, unreachable route", 1, 0),
    (r"ICMP6, destination unreachable, unreachable prohibited", 1, 1),
    (r"ICMP6, destination unreachable, beyond scope", 1, 2),
    (r"ICMP6, destination unreachable, unreachable address", 1, 3),
    (r"ICMP6, destination unreachable, unreachable port", 1, 4),
    (r"ICMP6, packet too big", 2, 0),
    (r"ICMP6, time exceeded in-transit", 3, 0),
    (r"ICMP6, ip reassembly time exceeded", 3, 1),
    (r"ICMP6, parameter problem, erroneous", 4, 0),
    (r"ICMP6, parameter problem, next header", 4, 1),
    (r"ICMP6, parameter problem, option", 4, 2),
)
_OTHERS6: tuple[tuple[str, int], ...] = (
    (r"ICMP6, multicast listener query", 130),
    (r"ICMP6, multicast listener report v2", 143),
    (r"ICMP6, multicast listener report", 131),
    (r"ICMP6, multicast listener done", 132),
    (r"ICMP6, router solicitation", 133),
    (r"ICMP6, router advertisement", 134),
    (r"ICMP6, neighbor solicitation", 135),
    (r"ICMP6, neighbor advertisement", 136),
    (r"ICMP6, redirect", 137),
)
_NUMBERED = re.compile(r"ICMP6?,? (?:type-#|unknown icmp6 type \()(\d+)")


def _compiled(table: tuple[tuple[str, int, int], ...]) -> list[tuple[re.Pattern[str], int, int]]:
    return [(re.compile(pattern), kind, code) for pattern, kind, code in table]


_TABLE4 = _compiled(_ERRORS)
_TABLE6 = _compiled(_ERRORS6)
_PLAIN4 = [(re.compile(pattern), kind) for pattern, kind in _OTHERS]
_PLAIN6 = [(re.compile(pattern), kind) for pattern, kind in _OTHERS6]


def parse_icmp(text: str, parsed: Parsed) -> None:
    """Fill type, code, echo id and seq, payload length and the quoted packet of ICMP text."""
    _parse(text, parsed, (8, 0), _TABLE4, _PLAIN4)


def parse_icmp6(text: str, parsed: Parsed) -> None:
    """Fill the same columns from ICMPv6 text."""
    _parse(text, parsed, (128, 129), _TABLE6, _PLAIN6)


def _parse(
    text: str,
    parsed: Parsed,
    echo_types: tuple[int, int],
    errors: list[tuple[re.Pattern[str], int, int]],
    others: list[tuple[re.Pattern[str], int]],
) -> None:
    packet = parsed.packet
    line = text.partition("\n")[0]
    _length(line, parsed)
    if echo := _ECHO.match(line):
        packet["icmp_type"] = echo_types[echo[1] == "reply"]
        packet["icmp_code"] = 0
        if echo[2]:
            packet["icmp_id"], packet["icmp_seq"] = int(echo[2]), int(echo[3])
        return
    for pattern, kind, code in errors:
        if pattern.match(line):
            packet["icmp_type"], packet["icmp_code"] = kind, code
            _quote(line, parsed)
            return
    for pattern, kind in others:
        if pattern.match(line):
            packet["icmp_type"] = kind
            return
    if numbered := _NUMBERED.match(line):
        packet["icmp_type"] = int(numbered[1])
    elif "[|icmp" not in line:
        parsed.set_decode(Decode.UNKNOWN_PROTOCOL)


def _length(line: str, parsed: Parsed) -> None:
    packet = parsed.packet
    header = 40 if packet.get("ip_version") == 6 else 20
    printed = _LENGTH.search(line)
    if printed:
        packet["payload_len"] = max(int(printed[1]) - 8, 0)
    elif packet.get("ip_len", -1) >= header + 8 and not parsed.has_options:
        packet["payload_len"] = packet["ip_len"] - header - 8


def _quote(line: str, parsed: Parsed) -> None:
    quoted = parsed.quoted
    if match := _PORT.search(line):
        host, proto, port = (match[1], match[2], match[3]) if match[1] else match.group(4, 5, 6)
        _inner_address(quoted, "inner_dst", host)
        if proto:
            quoted["inner_proto"] = {"udp": 17, "tcp": 6}[proto]
        if port and port.isdigit():
            quoted["inner_dport"] = int(port)
    elif match := _ABOUT.search(line):
        _inner_address(quoted, "inner_dst", match[1])


def _inner_address(quoted: dict[str, int], name: str, text: str) -> None:
    pair = address(text)
    if pair is not None:
        quoted[f"{name}_hi"], quoted[f"{name}_lo"] = pair
