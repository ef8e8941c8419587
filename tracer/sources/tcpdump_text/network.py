"""A printed IPv4 or IPv6 header (print-ip.c, print-ip6.c), and the tunnels it may open."""

import re
from collections.abc import Callable
from socket import getservbyname

from tracer.core.enums import Decode, Encap
from tracer.sources.tcpdump_text.parsed import Parsed, address
from tracer.sources.tcpdump_text.transport import CHECKSUM, EXTENSIONS, guess_proto, parse_transport

ParseFrame = Callable[[str, Parsed], None]

_V4 = re.compile(
    r"\s*\(tos (0x[0-9a-f]+)(?:,[^ ,]+)?,(?: ttl +(\d+),)? id (\d+), offset (\d+), "
    r"flags \[([^\]]*)\], proto:? (\S+) \((\d+)\), length:? (\d+)([^\n]*?)\)(?=[\s,]|$)\s*"
)
_V6 = re.compile(
    r"\s*\((?:class (0x[0-9a-f]+), )?(?:flowlabel (0x[0-9a-f]+), )?hlim (\d+), "
    r"next-header:? (\S+?)(?: \((\d+)\))? payload length: (\d+)\)\s*"
)
_CUT = re.compile(r"\s*truncated-ip6?(?: - \d+ bytes missing!?)?!?\s*")
_PAIR = re.compile(r"\s*(\S+) > (\S+?)(?::(?= |$)|\s*$)\s*", re.MULTILINE)
_LOST = re.compile(r"\s*(?:\S*:)?\s*(?=ICMP6?[ ,]|Flags \[|UDP[, ]|tcp \d)")
_OUTER = {"src_hi": "outer_src_hi", "src_lo": "outer_src_lo", "dst_hi": "outer_dst_hi",
          "dst_lo": "outer_dst_lo", "src_mac": "outer_src_mac", "dst_mac": "outer_dst_mac",
          "ip_id": "outer_ip_id", "sport": "outer_sport", "dport": "outer_dport",
          "ttl": "outer_ttl", "vlan": "outer_vlan"}  # fmt: skip
_LINK = ("src_mac", "dst_mac")
_KEPT = (*_LINK, "vlan", "vlan_inner", "wire_len", "mpls_label")
_VXLAN = re.compile(r"VXLAN(?P<gpe>-GPE)?,.*? vni (?P<vni>\d+)[^\n]*\n?")
_GENEVE = re.compile(
    r"Geneve,.*? vni (?P<vni>0x[0-9a-f]+)(?:, proto [^(:\n]*\([^)]*\))?[^:\n]*?[:\n]\s*"
)
_GRE = re.compile(r"GREv0(?P<flags>[^\n]*?), length \d+(?::|\n)\s*")
_GRE_KEY = re.compile(r"key=(0x[0-9a-f]+)")
_GRE_PROTO = re.compile(r"proto [^(]*\((0x[0-9a-f]{4})\)")
_ETHERNET = re.compile(r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2} ")
_INNER = re.compile(r"\s*(IP6?) ")
_QUOTED = re.compile(r"\n\s*(?:IP6? ?)?(?=\()")
QUOTED = ("src_hi", "src_lo", "dst_hi", "dst_lo", "ip_id", "tcp_seq", "sport", "dport",
          "icmp_id", "icmp_seq", "proto", "ttl")  # fmt: skip


def parse_ip(text: str, version: int, parsed: Parsed, parse_frame: ParseFrame) -> None:
    """Fill the network and transport columns; goes inward through tunnels to the last header."""
    cut = _CUT.match(text)
    if cut:
        parsed.set_decode(Decode.TRUNCATED)
        text = text[cut.end() :]
    # A tunnel's inner header may be of the other family than its EtherType's name says.
    version = 6 if _V6.match(text) else 4 if _V4.match(text) else version
    text = _header6(text, parsed) if version == 6 else _header4(text, parsed)
    parsed.packet["ip_version"] = version
    pair = _PAIR.match(text)
    if pair is None:
        _without_addresses(text, parsed)
        return
    rest = text[pair.end() :]
    proto = parsed.packet.get("proto", -1)
    if proto < 0 or (version == 6 and proto in EXTENSIONS):
        proto = guess_proto(rest, pair[1])
    parsed.ends = (pair[1], pair[2])
    _addresses(pair[1], pair[2], proto, parsed)
    if not _tunnel(rest, proto, version, parsed, parse_frame):
        parse_transport(rest, proto, parsed)
        if proto in (1, 58):
            _quoted(rest, version, parsed)


# With -v tcpdump prints the packet an ICMP error quotes like one of its own.
def _quoted(text: str, version: int, parsed: Parsed) -> None:
    header = _QUOTED.search(text)
    if header is None:
        return
    inner = Parsed()
    parse_ip(text[header.end() :], version, inner, _no_frame)
    parsed.inner = inner
    said = {f"inner_{name}": inner.packet[name] for name in QUOTED if name in inner.packet}
    parsed.quoted.update(said)


def _no_frame(text: str, parsed: Parsed) -> None:
    parsed.set_decode(Decode.UNKNOWN_PROTOCOL)


def _header4(text: str, parsed: Parsed) -> str:
    match = _V4.match(text)
    if match is None:
        return text
    packet = parsed.packet
    packet["tos"] = int(match[1], 16)
    packet["ttl"] = int(match[2] or 0)
    packet["ip_id"] = int(match[3])
    packet["frag_offset"] = int(match[4])
    packet["df"] = int("DF" in match[5])
    packet["more_fragments"] = int("+" in match[5])
    packet["proto"] = int(match[7])
    packet["ip_len"] = int(match[8])
    parsed.has_options = "options (" in match[9]
    return text[match.end() :]


def _header6(text: str, parsed: Parsed) -> str:
    match = _V6.match(text)
    if match is None:
        return text
    packet = parsed.packet
    packet["tos"] = int(match[1] or "0", 16)
    packet["flow_label"] = int(match[2] or "0", 16)
    packet["ttl"] = int(match[3])
    if match[5]:
        packet["proto"] = int(match[5])
    packet["ip_len"] = int(match[6]) + 40
    return text[match.end() :]


def _without_addresses(text: str, parsed: Parsed) -> None:
    if text.lstrip().startswith("[|"):
        parsed.set_decode(Decode.TRUNCATED)
        return
    lost = _LOST.match(text)
    if lost is None:
        parsed.damage.add("unparsed-line")
        parsed.set_decode(Decode.MALFORMED)
        return
    parsed.damage.add("addresses-missing")
    rest = text[lost.end() :]
    parse_transport(rest, parsed.packet.get("proto", guess_proto(rest, "")), parsed)


def _addresses(src: str, dst: str, proto: int, parsed: Parsed) -> None:
    for name, port_name, text in (("src", "sport", src), ("dst", "dport", dst)):
        host, port = split_port(text, proto)
        parsed.set_address(name, host)
        if port is not None:
            parsed.packet[port_name] = port


def split_port(text: str, proto: int) -> tuple[str, int | None]:
    """Return (host, port) of `10.0.0.1.80`, `fe80::1.80` or `host.http`; None for no port."""
    if address(text) is not None:
        return text, None
    host, dot, port = text.rpartition(".")
    if not dot or (proto not in (6, 17, 132) and address(host) is None):
        return text, None
    if port.isdigit():
        return host, int(port)
    try:
        return host, getservbyname(port, {6: "tcp", 17: "udp"}.get(proto, "tcp"))
    except OSError:
        return (host, None) if proto in (6, 17, 132) else (text, None)


def _tunnel(rest: str, proto: int, version: int, parsed: Parsed, parse_frame: ParseFrame) -> bool:
    rest = CHECKSUM.sub("", rest, count=1)
    if proto == 17 and (match := _VXLAN.match(rest) or _GENEVE.match(rest)):
        kind = Encap.GENEVE if match.re is _GENEVE else Encap.VXLAN
        if kind is Encap.VXLAN and match["gpe"]:
            kind = Encap.VXLAN_GPE
        _enter(parsed, kind, int(match["vni"], 0))
        return _inside(rest[match.end() :], None, parsed, parse_frame)
    if proto == 47 and (match := _GRE.match(rest)):
        return _gre(rest[match.end() :], match["flags"], parsed, parse_frame)
    if proto in (4, 41) and _starts_header(rest):
        kinds = {(4, 4): Encap.IPIP, (4, 41): Encap.SIT}
        _enter(parsed, kinds.get((version, proto), Encap.IP6TNL), None)
        return _inside(rest, "0x0800" if proto == 4 else "0x86dd", parsed, parse_frame)
    return False


def _gre(inside: str, flags: str, parsed: Parsed, parse_frame: ParseFrame) -> bool:
    printed_key, printed_type = _GRE_KEY.search(flags), _GRE_PROTO.search(flags)
    key = int(printed_key[1], 16) if printed_key else None
    kind = printed_type[1] if printed_type else None
    if key is not None and (kind == "0x6558" or _ETHERNET.match(inside)):
        _enter(parsed, Encap.NVGRE, key >> 8)  # RFC 7637: the upper 24 bits are the VSID
    else:
        _enter(parsed, Encap.GRE, key)
    return _inside(inside, kind or "0x0800", parsed, parse_frame)


def _starts_header(rest: str) -> bool:
    patterns = (_INNER, _V4, _V6, _PAIR)
    return any(pattern.match(rest) for pattern in patterns)


# The outermost tunnel's header goes to the section; what is inside becomes the row's packet.
def _enter(parsed: Parsed, encap: Encap, vni: int | None) -> None:
    packet = parsed.packet
    if not parsed.tunnel:
        parsed.tunnel.update({"encap": int(encap), "tunnels": 0})
        parsed.tunnel.update({_OUTER[name]: packet[name] for name in _OUTER if name in packet})
        if vni is not None:
            parsed.tunnel["vni"] = vni
    parsed.tunnel["tunnels"] += 1
    kept = {name: packet[name] for name in _KEPT if name in packet}
    packet.clear()
    packet.update(kept)


def _inside(text: str, kind: str | None, parsed: Parsed, parse_frame: ParseFrame) -> bool:
    if not text.strip():
        parsed.set_decode(Decode.TRUNCATED)
        return True
    if kind in ("0x0800", "0x86dd") and not (_INNER.match(text) or _ETHERNET.match(text)):
        parsed.packet["ethertype"] = int(kind, 16)
        parse_ip(text, 6 if kind == "0x86dd" else 4, parsed, parse_frame)
        return True
    if kind in (None, "0x6558") or _ETHERNET.match(text):
        for name in (*_LINK, "vlan", "vlan_inner"):
            parsed.packet.pop(name, None)
    wire = parsed.packet.get("wire_len")
    parse_frame(text.lstrip(), parsed)
    if wire is not None:
        parsed.packet["wire_len"] = wire
    return True
