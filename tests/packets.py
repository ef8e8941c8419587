"""Packets of every layer the decoder reads, made by scapy from a seed, and pcap files of them."""

import random
import struct
from collections.abc import Sequence
from pathlib import Path

from scapy.all import (
    ARP,
    GRE,
    ICMP,
    IP,
    LLC,
    PPP,
    SNAP,
    STP,
    TCP,
    UDP,
    CookedLinux,
    CookedLinuxV2,
    Dot1AD,
    Dot1Q,
    Dot3,
    Ether,
    ICMPv6DestUnreach,
    ICMPv6EchoReply,
    ICMPv6EchoRequest,
    ICMPv6ND_NS,
    ICMPv6PacketTooBig,
    ICMPv6TimeExceeded,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    Packet,
    PadN,
    PPPoE,
    Raw,
)  # fmt: skip
from scapy.contrib.geneve import GENEVE
from scapy.contrib.mpls import MPLS
from scapy.layers.inet import IPOption_NOP, IPOption_Timestamp
from scapy.layers.ipsec import AH
from scapy.layers.sctp import SCTP
from scapy.layers.vxlan import VXLAN

ETHERNET, RAW, SLL, SLL2, NULL = 1, 101, 113, 276, 0


class PacketMaker:
    """Makes packets from a seed: equal seeds give equal packets, with `tunnels` at most nested."""

    def __init__(self, seed: int, tunnels: int = 3) -> None:
        self.random = random.Random(seed)
        self.tunnels = tunnels

    def frame(self, linktype: int) -> bytes:
        """Return a packet as captured on a link of the given type."""
        pick = self.random
        ip = self.network(depth=0)
        version = 6 if isinstance(ip, IPv6) else 4
        if linktype == RAW:
            return bytes(ip)
        if linktype == NULL:
            family = {4: 2, 6: pick.choice((10, 24, 28, 30))}[version]
            return struct.pack(pick.choice("<>") + "I", family) + bytes(ip)
        if linktype in (SLL, SLL2):
            kind = CookedLinux if linktype == SLL else CookedLinuxV2
            address = pick.randbytes(6)
            cooked = kind(pkttype=pick.choice((0, 1, 2, 3, 4)), lladdrtype=1, lladdrlen=6)
            cooked.src = address + b"\0\0"
            if linktype == SLL2:
                cooked.ifindex = pick.randrange(1, 9)
            return bytes(cooked / ip)
        return bytes(self.ethernet(depth=0))

    def ethernet(self, depth: int) -> Packet:
        """Return an Ethernet frame, tagged or not, padded or not."""
        pick = self.random
        kind = pick.randrange(20)
        frame = Ether(src=self.mac(), dst=self.mac())
        tagged = frame
        for n in range(pick.choice((0, 0, 0, 1, 1, 2, 3))):
            tag = pick.choice((Dot1Q, Dot1AD)) if n == 0 else Dot1Q
            tagged = tagged / tag(vlan=pick.randrange(4096), prio=3)
        if kind == 0:
            inner: Packet = self.arp()
        elif kind == 1:
            return Dot3(src=self.mac(), dst=self.mac()) / LLC() / STP()
        elif kind == 2:
            snap = LLC(dsap=0xAA, ssap=0xAA, ctrl=3) / SNAP(OUI=0, code=0x0800)
            return Dot3(src=self.mac(), dst=self.mac()) / snap / self.ipv4(depth)
        elif kind == 3:
            tagged = frame
            inner = PPPoE(sessionid=7) / PPP() / self.ipv4(depth)
            frame.type = 0x8864
        elif kind in (4, 5):
            inner = self.mpls(depth)
        elif kind == 6:
            tagged.lastlayer().type = 0x88CC
            inner = Raw(pick.randbytes(40))
        else:
            inner = self.network(depth)
        packed = tagged / inner
        if pick.random() < 0.3:
            packed = Raw(bytes(packed).ljust(60, b"\0"))
        return packed

    def mpls(self, depth: int) -> Packet:
        """Return a label stack and what follows it."""
        pick = self.random
        labels = [pick.randrange(16, 1 << 20) for _ in range(pick.randrange(1, 4))]
        stack = [MPLS(label=label, s=int(n == len(labels) - 1)) for n, label in enumerate(labels)]
        packed = stack[0]
        for entry in stack[1:]:
            packed = packed / entry
        return packed / Raw(bytes(self.network(depth)))

    def arp(self) -> Packet:
        """Return an ARP request or reply."""
        return ARP(
            op=self.random.choice((1, 2)),
            hwsrc=self.mac(),
            hwdst=self.mac(),
            psrc=self.address4(),
            pdst=self.address4(),
        )

    def network(self, depth: int) -> Packet:
        """Return an IPv4 or IPv6 packet."""
        return self.ipv4(depth) if self.random.random() < 0.6 else self.ipv6(depth)

    def ipv4(self, depth: int) -> Packet:
        """Return an IPv4 packet: with options, fragmented, or plain."""
        pick = self.random
        header = IP(
            src=self.address4(),
            dst=self.address4(),
            ttl=pick.randrange(256),
            id=pick.randrange(65536),
            tos=pick.randrange(256),
            flags=pick.choice(("", "DF")),
        )
        if pick.random() < 0.15:
            header.options = [IPOption_NOP(), IPOption_Timestamp(flg=0)]
        if pick.random() < 0.1:
            header.flags = "MF"
            header.frag = pick.choice((0, 0, 1, 185, 8000))
            if header.frag:
                header.proto = pick.choice((1, 6, 17))
                return header / Raw(pick.randbytes(pick.randrange(8, 400)))
        if pick.random() < 0.03:
            return (
                header
                / AH(nh=17, payloadlen=4, spi=5, seq=1, icv=b"x" * 12)
                / Raw(bytes(self.udp(depth)))
            )
        if pick.random() < 0.06:
            header.proto = 253  # experiments (RFC 3692)
            return header / Raw(pick.randbytes(pick.randrange(0, 60)))
        return header / self.transport4(depth)

    def ipv6(self, depth: int) -> Packet:
        """Return an IPv6 packet with up to four extension headers, perhaps a fragment."""
        pick = self.random
        packed: Packet = IPv6(
            src=self.address6(),
            dst=self.address6(),
            hlim=pick.randrange(256),
            tc=pick.randrange(256),
            fl=pick.randrange(1 << 20),
        )
        if pick.random() < 0.1:
            packed = packed / IPv6ExtHdrHopByHop(options=[PadN(optdata=b"\0" * 4)])
        if pick.random() < 0.1:
            packed = packed / IPv6ExtHdrRouting(type=0, addresses=[self.address6()], segleft=0)
        if pick.random() < 0.12:
            offset = pick.choice((0, 0, 1, 180))
            fragment = IPv6ExtHdrFragment(id=pick.getrandbits(32), offset=offset, m=1)
            if offset:
                fragment.nh = pick.choice((6, 17, 58))
                return packed / fragment / Raw(pick.randbytes(pick.randrange(8, 300)))
            packed = packed / fragment
        if pick.random() < 0.1:
            packed = packed / IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0" * 12)])
        return packed / self.transport6(depth)

    def transport4(self, depth: int) -> Packet:
        """Return what IPv4 carries."""
        pick = self.random
        kind = pick.randrange(15)
        if kind < 5:
            return self.tcp()
        if kind < 8:
            return self.udp(depth)
        if kind < 11:
            return self.icmp()
        if kind == 11:
            return SCTP(sport=self.port(), dport=self.port()) / Raw(b"")
        return self.tunnel(depth) if depth < self.tunnels else self.tcp()

    def transport6(self, depth: int) -> Packet:
        """Return what IPv6 carries."""
        pick = self.random
        kind = pick.randrange(12)
        if kind < 4:
            return self.tcp()
        if kind < 6:
            return self.udp(depth)
        if kind < 9:
            return self.icmp6()
        return self.tunnel(depth) if depth < self.tunnels else self.udp(depth)

    def tcp(self) -> Packet:
        """Return a TCP segment."""
        pick = self.random
        stamp = [("NOP", None), ("NOP", None), ("Timestamp", (pick.getrandbits(32), 5))]
        options = pick.choice(([], [], [("MSS", 1460), ("SAckOK", b""), ("WScale", 7)], stamp))
        segment = TCP(
            sport=self.port(),
            dport=self.port(),
            seq=pick.getrandbits(32),
            ack=pick.getrandbits(32),
            flags=pick.randrange(1 << 9),
            window=pick.randrange(65536),
            options=options,
        )
        segment.reserved = pick.randrange(8)
        return segment / Raw(self.payload())

    def udp(self, depth: int) -> Packet:
        """Return a UDP datagram that is no tunnel."""
        return UDP(sport=self.port(), dport=self.port()) / Raw(self.payload())

    def icmp(self) -> Packet:
        """Return an ICMP message: echo, another query, an error with its quote, or another."""
        pick = self.random
        kind = pick.choice((0, 8, 8, 13, 3, 3, 11, 5, 9))
        message = ICMP(type=kind, code=pick.randrange(3))
        if kind in (0, 8, 13):
            message.id, message.seq = pick.randrange(65536), pick.randrange(65536)
            return message / Raw(b"" if kind == 13 else self.payload())
        if kind == 9:
            return message / Raw(pick.randbytes(12))
        quote = IP(src=self.address4(), dst=self.address4(), id=9, ttl=1, flags=2)
        quoted = quote / pick.choice((self.udp(9), self.tcp(), ICMP(id=77, seq=5) / Raw(b"q" * 30)))
        return message / Raw(bytes(quoted)[: pick.choice((28, 28, 60, 200))])

    def icmp6(self) -> Packet:
        """Return an ICMPv6 message."""
        pick = self.random
        kind = pick.randrange(6)
        ids = {"id": pick.randrange(65536), "seq": pick.randrange(65536)}
        if kind < 3:
            return pick.choice((ICMPv6EchoRequest, ICMPv6EchoReply))(**ids, data=self.payload())
        if kind == 3:
            return ICMPv6ND_NS(tgt=self.address6())
        error = pick.choice((ICMPv6DestUnreach, ICMPv6PacketTooBig, ICMPv6TimeExceeded))()
        quoted = IPv6(src=self.address6(), dst=self.address6(), hlim=1) / self.udp(9)
        return error / Raw(bytes(quoted))

    def tunnel(self, depth: int) -> Packet:
        """Return a tunnel header and the packet in it, to stand behind an IP header."""
        pick = self.random
        kind = pick.randrange(10)
        inner = depth + 1
        if kind < 2:
            header = VXLAN(flags=8, vni=pick.randrange(1 << 24))
            return UDP(sport=self.port(), dport=4789) / header / self.ethernet(inner)
        if kind < 4:
            options = pick.randbytes(4 * pick.randrange(0, 6))
            header = GENEVE(vni=pick.randrange(1 << 24), proto=0x6558, options=b"")
            packed = bytearray(bytes(header)[:8])
            packed[0] = len(options) // 4
            return UDP(sport=self.port(), dport=6081) / Raw(
                bytes(packed) + options + bytes(self.ethernet(inner))
            )
        if kind == 4:
            key = pick.choice((5, 77000, 0x123456_00))
            return GRE(proto=0x6558, key_present=1, key=key) / Raw(bytes(self.ethernet(inner)))
        if kind == 5:
            flags = {name: pick.choice((0, 1)) for name in ("chksum", "key", "seqnum")}
            header = GRE(proto=0x0800, **{f"{name}_present": on for name, on in flags.items()})
            return header / Raw(bytes(self.ipv4(inner)))
        if kind == 6:
            return GRE(proto=0x86DD) / Raw(bytes(self.ipv6(inner)))
        if kind == 7:
            return self.ipv6(inner)
        return self.ipv4(inner)

    def payload(self) -> bytes:
        """Return 0 to 300 bytes that no application protocol claims."""
        return b"\xf1\xf3" * self.random.choice((0, 1, 8, 30, 150))

    def port(self) -> int:
        """Return a port that neither Wireshark nor the decoder gives a meaning."""
        return self.random.randrange(61000, 62000)

    def mac(self) -> str:
        """Return a unicast MAC with no byte that looks like a version nibble or a control word."""
        return "fa:16:3e:" + ":".join(f"{self.random.randrange(256):02x}" for _ in range(3))

    def address4(self) -> str:
        """Return a private IPv4 address."""
        return f"10.{self.random.randrange(256)}.{self.random.randrange(256)}.5"

    def address6(self) -> str:
        """Return an IPv6 address in the documentation prefix."""
        return f"2001:db8::{self.random.randrange(65536):x}:1"


def truncated(maker: PacketMaker, packet: bytes) -> bytes:
    """Return the packet as a capture with a random, sometimes small snaplen keeps it."""
    if maker.random.random() < 0.5:
        return packet
    return packet[: maker.random.randrange(0, min(len(packet), 160) + 1)]


def write_pcap(
    path: Path, linktype: int, packets: Sequence[bytes], wire: Sequence[int] | None = None
) -> None:
    """Write a little-endian, nanosecond pcap; `wire` gives lengths on the wire, if not captured."""
    lengths = wire or [len(packet) for packet in packets]
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, linktype))
        for n, (packet, length) in enumerate(zip(packets, lengths, strict=True)):
            file.write(struct.pack("<IIII", 1_700_000_000, n, len(packet), length) + packet)
