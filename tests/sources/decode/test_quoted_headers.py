"""What an ICMPv6 error quotes of a packet with extension headers, as tshark reads it."""

import subprocess
from pathlib import Path

import pytest
from decoding import decoded
from packets import ETHERNET, write_pcap
from scapy.layers.inet import TCP, UDP
from scapy.layers.inet6 import (
    ICMPv6DestUnreach,
    ICMPv6EchoRequest,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    PadN,
    RouterAlert,
)
from scapy.layers.ipsec import AH
from scapy.layers.l2 import Ether
from scapy.packet import Packet

PADDED = PadN(optdata=bytes(4))
#: What comes between the IPv6 header and the transport header, and its first protocol number.
EXTENSIONS: dict[str, tuple[int, Packet | None]] = {
    "none": (-1, None),
    "hop-by-hop": (0, IPv6ExtHdrHopByHop(options=[PADDED])),
    "destination": (60, IPv6ExtHdrDestOpt(options=[PADDED])),
    "routing": (43, IPv6ExtHdrRouting(addresses=["fd07:3::3"])),
    "fragment": (44, IPv6ExtHdrFragment(id=0x1234567, m=1)),
    "authentication": (51, AH(spi=5, seq=1, icv=bytes(12), payloadlen=4)),
    "several": (
        0,
        IPv6ExtHdrHopByHop(options=[PADDED])
        / IPv6ExtHdrRouting(addresses=["fd07:3::3"])
        / IPv6ExtHdrFragment(id=0x1234567, m=1)
        / IPv6ExtHdrDestOpt(options=[PADDED, PADDED]),
    ),
}
TRANSPORTS = {
    "udp": (17, UDP(sport=4661, dport=22136) / b"hello"),
    "tcp": (6, TCP(sport=4661, dport=22136, seq=0x01020304)),
    "echo": (58, ICMPv6EchoRequest(id=4661, seq=7)),
}
FIELDS = {
    "inner_sport": ("udp.srcport", "tcp.srcport"),
    "inner_dport": ("udp.dstport", "tcp.dstport"),
    "inner_tcp_seq": ("tcp.seq_raw",),
    "inner_icmp_id": ("icmpv6.echo.identifier",),
    "inner_icmp_seq": ("icmpv6.echo.sequence_number",),
    "inner_ip_id": ("ipv6.fraghdr.ident",),
    "inner_ttl": ("ipv6.hlim",),
}


def _error(extension: str, transport: str, own: bool) -> bytes:
    first, headers = EXTENSIONS[extension]
    proto, payload = TRANSPORTS[transport]
    quoted = IPv6(src="fd07:1::2", dst="fd07:2::2", hlim=9, nh=proto) / payload
    if headers is not None:
        headers = headers.copy()
        headers.lastlayer().nh = proto
        quoted = IPv6(src="fd07:1::2", dst="fd07:2::2", hlim=9, nh=first) / headers / payload
    outer = IPv6(src="fd07:2::2", dst="fd07:1::2")
    if own:
        outer /= IPv6ExtHdrHopByHop(options=[RouterAlert()])
    macs = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
    return bytes(macs / outer / ICMPv6DestUnreach(code=4) / bytes(quoted))


@pytest.mark.parametrize("own", [False, True], ids=["plain", "with-options-of-its-own"])
@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("extension", EXTENSIONS)
def test_the_quoted_tuple_is_that_of_tshark(
    tmp_path: Path, extension: str, transport: str, own: bool
) -> None:
    frame, path = _error(extension, transport, own), tmp_path / "error.pcap"
    write_pcap(path, ETHERNET, [frame])
    (quoted,) = decoded([frame], ETHERNET).sections["quoted"]
    names = [name for several in FIELDS.values() for name in several]
    words = ["tshark", "-r", str(path), "-T", "fields", "-E", "occurrence=l", "-E", "separator=;"]
    words += ["-o", "ipv6.defragment:false", *(part for name in names for part in ("-e", name))]
    said = subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip("\n")
    values = dict(zip(names, said.split(";"), strict=True))
    for name, fields in FIELDS.items():
        texts = [values[field] for field in fields if values[field]]
        wanted = int(texts[0], 0) if texts else -1
        assert int(quoted[name]) == wanted, name
    assert int(quoted["inner_proto"]) == TRANSPORTS[transport][0]
