"""Headers stacked at random, as bytes: tunnels, tags and shims that scapy has no layers for.

Payloads and ports are such that no dissector guesses at them.
"""

import random
import struct

SERIAL = {"ppp": 9, "ppp-hdlc": 50, "pppoe": 51, "cisco-hdlc": 104}
DEEPEST = 3  # tunnels in tunnels


class Stacks:
    """Makes packets from a seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def noise(self, count: int) -> bytes:
        return self.random.randbytes(count)

    def frame(self, depth: int = 0) -> bytes:
        """Return an Ethernet frame."""
        return b"\xfa\x16\x3e" + self.noise(3) + b"\xfa\x16\x3e" + self.noise(3) + self.typed(depth)

    def serial(self, kind: str) -> bytes:
        """Return a packet of a serial link."""
        if kind == "pppoe":
            return self.pppoe(0)
        if kind == "cisco-hdlc":
            return self.random.choice((b"\x0f\0", b"\x8f\0")) + self.network_typed(0)
        return self.ppp(0)

    def typed(self, depth: int, tags: int = 0) -> bytes:
        """Return an EtherType and what it names."""
        pick = self.random
        if tags < 3 and pick.random() < 0.25:
            tag = pick.choice((0x8100, 0x9100) if tags else (0x8100, 0x88A8, 0x9100))
            return struct.pack(">HH", tag, pick.randrange(1 << 16)) + self.typed(depth, tags + 1)
        if pick.random() < 0.55:
            return self.network_typed(depth)
        return pick.choice((
            lambda: b"\x88\x47" + self.mpls(depth),
            lambda: b"\x88\x64" + self.pppoe(depth),
            lambda: self.llc(depth),
            lambda: b"\x65\x58" + self.frame(depth + 1),
            lambda: b"\x89\x4f" + self.nsh(depth),
            lambda: b"\x88\xe7" + self.noise(4) + self.frame(depth + 1),  # I-Tag
            lambda: b"\x89\x3f" + self.noise(6) + self.network_typed(depth),  # E-Tag
            lambda: b"\x89\x26" + self.noise(4) + self.network_typed(depth),  # VN-Tag
            lambda: b"\x89\x2f" + self.noise(4) + self.network_typed(depth),  # HSR
            lambda: b"\xf1\xc1" + self.noise(4) + self.network_typed(depth),  # R-Tag
            lambda: b"\x88\x70\xaa\xaa\x03\0\0\0" + self.network_typed(depth),
            lambda: b"\x88\xe5\0\0" + self.noise(4) + self.network_typed(depth) + self.noise(16),
        ))()  # fmt: skip

    def network_typed(self, depth: int) -> bytes:
        if self.random.random() < 0.6:
            return b"\x08\0" + self.ipv4(depth)
        return b"\x86\xdd" + self.ipv6(depth)

    def llc(self, depth: int) -> bytes:
        start = b"\xaa\xaa\x03" + self.random.choice((b"\0\0\0", b"\0\0\xf8"))
        packet = start + self.network_typed(depth)
        if self.random.random() < 0.3:
            packet = b"\x06\x06\x03" + self.ipv4(depth)
        if len(packet) >= 0x600:
            return b"\x08\0" + self.ipv4(DEEPEST)
        return struct.pack(">H", len(packet)) + packet + bytes(self.random.choice((0, 6)))

    def pppoe(self, depth: int) -> bytes:
        packet = self.ppp(depth, b"")
        return b"\x11\0\0\7" + struct.pack(">H", len(packet)) + packet

    def ppp(self, depth: int, control: bytes = b"\xff\x03") -> bytes:
        pick = self.random
        start = pick.choice((b"", control))
        if pick.random() < 0.1:
            return start + b"\xc0\x21\1\1\0\4"
        if pick.random() < 0.6:
            return start + pick.choice((b"\0\x21", b"\x21")) + self.ipv4(depth)
        return start + pick.choice((b"\0\x57", b"\x57")) + self.ipv6(depth)

    def mpls(self, depth: int) -> bytes:
        pick = self.random
        labels = [pick.randrange(16, 1 << 20) << 12 | 64 for _ in range(pick.randrange(1, 4))]
        labels[-1] |= 0x100
        inner = pick.choice((
            lambda: self.ipv4(depth), lambda: self.ipv6(depth),
            lambda: bytes(4) + self.frame(depth + 1),
        ))()  # fmt: skip
        return struct.pack(f">{len(labels)}I", *labels) + inner

    def nsh(self, depth: int) -> bytes:
        kind = self.random.randrange(1, 4)
        inner = (self.ipv4, self.ipv6, self.frame)[kind - 1](depth)
        return struct.pack(">HBB", 0x0FC6, 1, kind) + self.noise(20) + inner

    def ipv4(self, depth: int) -> bytes:
        pick = self.random
        proto, packet = self.carried(depth)
        options = b"\1" * pick.choice((0, 0, 0, 4, 12))
        fragment = pick.choice((0, 0, 0, 0, 0x4000, 0x4000, 0x2000, 0x00B9))
        start = struct.pack(
            ">BBHHHBBH", 0x45 + len(options) // 4, pick.randrange(256),
            20 + len(options) + len(packet), pick.randrange(1 << 16), fragment,
            pick.randrange(256), proto, pick.randrange(1 << 16),
        )  # fmt: skip
        addresses = b"\x0a" + self.noise(2) + b"\5\x0a" + self.noise(2) + b"\5"
        return start + addresses + options + packet

    def ipv6(self, depth: int) -> bytes:
        pick = self.random
        proto, packet = self.carried(depth)
        for _ in range(pick.choice((0, 0, 0, 1, 2, 3))):
            kind = pick.choice((0, 43, 44, 51, 60))
            body = {
                43: bytes([2, 0, 0]) + bytes(4) + self.address(),
                44: struct.pack(">BH", 0, pick.choice((0, 1, 8, 9))) + self.noise(4),
                51: b"\4\0\0" + self.noise(20),
            }.get(kind, b"\0\1\4" + bytes(4))
            proto, packet = kind, bytes([proto]) + body + packet
        flow = 6 << 28 | pick.randrange(1 << 28)
        start = struct.pack(">IHBB", flow, len(packet), proto, pick.randrange(256))
        return start + self.address() + self.address() + packet

    def address(self) -> bytes:
        return bytes.fromhex("20010db8") + bytes(10) + self.noise(2)

    def carried(self, depth: int) -> tuple[int, bytes]:
        """Return an IP protocol and its packet."""
        pick = self.random
        if depth >= DEEPEST or pick.random() < 0.45:
            return pick.choice((
                lambda: (6, self.tcp()), lambda: (17, self.udp(self.payload())),
                lambda: (136, self.udp(self.payload())), lambda: (253, self.noise(20)),
                lambda: (33, self.ports() + self.noise(20)),
                lambda: (132, self.ports() + self.noise(8)),
            ))()  # fmt: skip
        inner = depth + 1
        if pick.random() < 0.6:
            return 17, self.udp_tunnel(inner)
        return pick.choice((
            lambda: (4, self.ipv4(inner)), lambda: (41, self.ipv6(inner)),
            lambda: (47, self.gre(inner)), lambda: (97, b"\x30\0" + self.frame(inner)),
            lambda: (137, self.mpls(inner)), lambda: (143, self.frame(inner)),
        ))()  # fmt: skip

    def gre(self, depth: int) -> bytes:
        pick = self.random
        kind = pick.randrange(6)
        if kind == 0:  # PPTP: version 1, the key is length and call
            packet = self.ppp(depth)
            return struct.pack(">HHHHI", 0x3001, 0x880B, len(packet), 7, 1) + packet
        if kind == 1:  # ERSPAN III, frame type Ethernet
            return b"\x10\0\x22\xeb" + self.noise(4) + b"\x20" + self.noise(9) + bytes(2) + (
                self.frame(depth)
            )  # fmt: skip
        flags = pick.choice((0, 0x2000, 0x3000, 0xB000))
        between = self.noise({0: 0, 0x2000: 4, 0x3000: 8, 0xB000: 12}[flags])
        inner = self.network_typed(depth) if kind < 5 else b"\x65\x58" + self.frame(depth)
        return struct.pack(">H", flags) + inner[:2] + between + inner[2:]

    def udp_tunnel(self, depth: int) -> bytes:
        """Return UDP with a tunnel in it, its port at either end or at both."""
        pick = self.random
        port, packet = pick.choice((
            lambda: (4789, b"\x08\0\0\0" + self.noise(3) + b"\0" + self.frame(depth)),
            lambda: (6081, b"\1\0" + self.network_typed(depth)[:0] + b"\x65\x58" + self.noise(3)
                     + b"\0\0\1\x80\0" + self.frame(depth)),
            lambda: (4790, b"\x0c\0\0\4" + self.noise(3) + b"\0" + self.nsh(depth)),
            lambda: (2152, self.gtp(depth)),
            lambda: (3544, self.teredo() + self.ipv6(depth)),
            lambda: (1701, self.l2tp(depth)),
            lambda: (6635, self.mpls(depth)),
            lambda: (4754, self.gre(depth)),
            lambda: (4341, b"\x80\0\0\0" + self.noise(4) + self.ipv4(depth)),
            lambda: (37008, b"\1\0\0\1" + pick.choice((b"", b"\0\x0a\1\5")) + b"\1"
                     + self.frame(depth)),
            lambda: (5247, b"\0\x10\0\0" + bytes(4) + self.frame(depth)),
            lambda: (5072, b"\x44\x52\x11\x29" + bytes(40) + self.ipv6(depth)),
        ))()  # fmt: skip
        ends = pick.choice(((None, port), (None, port), (port, None), (port, port)))
        return self.udp(packet, *ends)

    def gtp(self, depth: int) -> bytes:
        pick = self.random
        if pick.random() < 0.1:
            inner = self.ipv4(depth)  # version 0
            return b"\x1e\xff" + struct.pack(">H", len(inner)) + self.noise(16) + inner
        optional = pick.choice((
            b"", self.noise(3) + b"\0", self.noise(3) + b"\x85\1" + self.noise(2) + b"\0",
            self.noise(3) + b"\x85\1\0\0\x85\1\0\0\0",
        ))  # fmt: skip
        flags = 0x30 if not optional else 0x32 if len(optional) == 4 else 0x34
        inner = self.ipv4(depth) if pick.random() < 0.6 else self.ipv6(depth)
        length = len(optional) + len(inner)
        return struct.pack(">BBH", flags, 255, length) + self.noise(4) + optional + inner

    def teredo(self) -> bytes:
        authentication, origin = b"\0\1\0\0" + self.noise(9), b"\0\0" + self.noise(6)
        return self.random.choice((b"", authentication, origin, authentication + origin))

    def l2tp(self, depth: int) -> bytes:
        inner = self.ppp(depth)
        plain = b"\0\2" + self.noise(4) + inner
        full = self.noise(8) + b"\0\2\0\0" + inner
        long = b"\x4a\2" + struct.pack(">H", 4 + len(full)) + full
        return self.random.choice((plain, long))

    def udp(self, packet: bytes, sport: int | None = None, dport: int | None = None) -> bytes:
        ends = [self.random.randrange(61000, 62000) if port is None else port
                for port in (sport, dport)]  # fmt: skip
        return struct.pack(">HHHH", *ends, 8 + len(packet), self.random.randrange(1 << 16)) + packet

    def tcp(self) -> bytes:
        pick = self.random
        numbers = pick.getrandbits(32), pick.getrandbits(32)
        rest = 0x5000 | pick.randrange(1 << 12), pick.randrange(1 << 16), 0, 0
        return self.ports() + struct.pack(">IIHHHH", *numbers, *rest) + self.payload()

    def ports(self) -> bytes:
        return struct.pack(">HH", *(self.random.randrange(61000, 62000) for _ in range(2)))

    def payload(self) -> bytes:
        return b"\xf1\xf3" * self.random.choice((0, 1, 8, 150))
