"""What is sent over the campus: numbered packets, whose numbers the log keeps by their kind."""

import os
import select
import socket
import struct
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from campus import (
    ASKED,
    BY_GENEVE,
    BY_GRE,
    BY_VXLAN,
    BY_VXLAN6,
    CLOSED,
    HAIRPIN,
    HOME,
    PUBLIC,
    PUBLIC6,
    SERVED,
    TCP_PORT,
    Campus,
)  # fmt: skip

from tests.kernel.beside import beside
from tracer.sources.live.syscalls import network_namespace

UNIT = b"#tracer:%07d#"  # 16 bytes: a fragment, and a quote, hold a whole one
ANSWER = 5_000_000  # added to a datagram's number in its answer
ECHO = {4: (8, 0), 6: (128, 129)}
EQUAL = b"equal in every host"
PING_ID = 7
STREAM_BYTES = 400_000
IP_RECVERR, IPV6_RECVERR, IP_MTU_DISCOVER, IPV6_MTU_DISCOVER, PROBE = 11, 25, 10, 23, 3
TUNNELS = {"vxlan": BY_VXLAN, "geneve": BY_GENEVE, "gre": BY_GRE, "vxlan 6": BY_VXLAN6}
SERVER_ADDRESSES = ("10.9.5.2", "10.9.6.2", "10.9.7.2", "10.9.8.2", "fd09:5::2", "fd09:6::2")


def family(address: str) -> int:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


@dataclass
class Traffic:
    """Sockets inside the campus, and the numbers sent, by kind."""

    net: Campus
    log: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    _last: int = 0

    def socket(
        self, host: str, kind: int, of: int = socket.AF_INET, proto: int = 0
    ) -> socket.socket:
        with network_namespace(f"/run/netns/{self.net.name(host)}"):
            made = socket.socket(of, kind, proto)
        made.settimeout(10)
        return made

    def number(self, kind: str) -> int:
        self._last += 1
        self.log[kind].append(self._last)
        return self._last

    def ask(
        self, kind: str, host: str, to: tuple[str, int], flows: int, each: int, size: int = 16
    ) -> None:
        """Send datagrams and take their answers, one after the other."""
        for _ in range(flows):
            with self.socket(host, socket.SOCK_DGRAM, family(to[0])) as asking:
                for _ in range(each):
                    number = self.number(kind)
                    asking.sendto(UNIT % number * (size // 16), to)
                    answer = asking.recv(1 << 16)
                    assert answer.startswith(UNIT % (number + ANSWER)), answer

    def fail(
        self, kind: str, host: str, to: tuple[str, int], hops: int = 64, size: int = 16
    ) -> None:
        """Send a datagram and take the ICMP error about it."""
        six = ":" in to[0]
        level = socket.IPPROTO_IPV6 if six else socket.IPPROTO_IP
        with self.socket(host, socket.SOCK_DGRAM, family(to[0])) as asking:
            asking.setsockopt(level, IPV6_RECVERR if six else IP_RECVERR, 1)
            asking.setsockopt(level, IPV6_MTU_DISCOVER if six else IP_MTU_DISCOVER, PROBE)
            asking.setsockopt(level, socket.IPV6_UNICAST_HOPS if six else socket.IP_TTL, hops)
            asking.sendto(UNIT % self.number(kind) * (size // 16), to)
            poll = select.poll()
            poll.register(asking, 0)
            assert poll.poll(10_000), f"no error about {kind}"
            asking.recvmsg(1 << 16, 1 << 10, socket.MSG_ERRQUEUE)

    def ping(
        self, kind: str, hosts: str, to: str, count: int, payload: bytes | None = None
    ) -> None:
        """Send echo requests with equal ids and numbers from several hosts at once."""
        version = 6 if ":" in to else 4
        proto = socket.IPPROTO_ICMPV6 if version == 6 else socket.IPPROTO_ICMP
        with ExitStack() as stack:
            asking = [
                stack.enter_context(self.socket(host, socket.SOCK_RAW, family(to), proto))
                for host in hosts
            ]
            for seq in range(1, count + 1):
                for each in asking:
                    body = payload if payload is not None else UNIT % self.number(kind)
                    each.sendto(echo(version, seq, body), (to, 0))
                for each in asking:
                    _take_echo(each, version, seq)

    def flood(self, kind: str, to: str, count: int) -> None:
        """Send datagrams to everybody in the LAN."""
        with self.socket("A", socket.SOCK_DGRAM) as sending:
            sending.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            for _ in range(count):
                sending.sendto(UNIT % self.number(kind), (to, 5001))

    def stream(self) -> None:
        """Send a TCP stream and wait until all of it was taken."""
        with (
            self.socket("S", socket.SOCK_STREAM) as server,
            self.socket("A", socket.SOCK_STREAM) as client,
        ):
            server.bind((SERVER_ADDRESSES[0], TCP_PORT))
            server.listen()
            taken = threading.Thread(target=take_all, args=(server,))
            taken.start()
            client.connect((PUBLIC, TCP_PORT))
            client.sendall(os.urandom(STREAM_BYTES))
            client.shutdown(socket.SHUT_WR)
            assert client.recv(1) == b""
            taken.join()

    def mark(self, mark: bytes) -> None:
        """Send the end of a recording over every device."""
        with self.socket("A", socket.SOCK_DGRAM) as sending:
            sending.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            for to in (BY_VXLAN, BY_GENEVE, BY_GRE, "255.255.255.255"):
                sending.sendto(mark, (to, ASKED))
        for _ in range(24):  # flows enough to take either of two paths
            with self.socket("A", socket.SOCK_DGRAM) as sending:
                sending.sendto(mark, (PUBLIC, ASKED))


def echo(version: int, seq: int, body: bytes) -> bytes:
    """Return an echo request with PING_ID; the kernel fills in ICMPv6's checksum."""
    head = struct.pack("!BBHHH", ECHO[version][0], 0, 0, PING_ID, seq)
    whole = head + body + b"\0" * (len(body) % 2)
    total = sum(struct.unpack(f"!{len(whole) // 2}H", whole)) if version == 4 else 0
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return head[:2] + struct.pack("!H", ~total & 0xFFFF) + head[4:] + body


def _take_echo(asking: socket.socket, version: int, seq: int) -> None:
    while True:
        got = asking.recv(1 << 16)
        got = got[20:] if version == 4 else got
        kind, ident, number = got[0], *struct.unpack("!HH", got[4:8])
        if kind == ECHO[version][1] and (ident, number) == (PING_ID, seq):
            return


def take_all(server: socket.socket) -> None:
    """Read one connection to its end."""
    connection, _ = server.accept()
    with connection:
        while connection.recv(1 << 16):
            pass


@contextmanager
def servers(traffic: Traffic) -> Iterator[None]:
    """Answer numbered datagrams at S and C during the block."""
    places = [("S", address, port) for address in SERVER_ADDRESSES for port in (SERVED, ASKED)]
    places.append(("C", "10.9.1.4", 80))
    with ExitStack() as stack:
        bound = []
        for host, address, port in places:
            each = stack.enter_context(traffic.socket(host, socket.SOCK_DGRAM, family(address)))
            each.bind((address, port))
            bound.append(each)
        with beside(_answer, bound):
            yield


def _answer(bound: list[socket.socket], stop: int) -> None:
    while True:
        ready, _, _ = select.select([stop, *bound], [], [])
        if stop in ready:
            return
        for each in ready:
            asked, peer = each.recvfrom(1 << 16)
            if asked.startswith(b"#tracer:"):
                number = int(asked[8:15]) + ANSWER
                each.sendto(UNIT % number * (len(asked) // 16), peer)


class Extras(Protocol):
    """What happens to captures while traffic passes."""

    def halfway(self, latest: bytes) -> None: ...

    def pause(self) -> None: ...

    def resume(self) -> None: ...


def everything(traffic: Traffic, extras: Extras) -> None:
    """Send all kinds of packets, each at a time of its own."""
    traffic.ask("before", "A", (PUBLIC, ASKED), 6, 4)
    extras.halfway(UNIT % (traffic.log["before"][-1] + ANSWER))
    for host in "AB":
        traffic.ask("three nats", host, (PUBLIC, ASKED), 12, 4)
        traffic.ask("three nats 6", host, (PUBLIC6, ASKED), 3, 4)
        traffic.ask("hairpin", host, (HOME, HAIRPIN), 3, 4)
    traffic.ask("fragments", "A", (PUBLIC, ASKED), 3, 2, 4000)
    traffic.ask("fragments 6", "A", (PUBLIC6, ASKED), 3, 2, 4000)
    traffic.ping("pings", "AB", PUBLIC, 7)
    traffic.ping("equal pings 6", "ABC", PUBLIC6, 7, EQUAL)
    for kind, to in TUNNELS.items():
        traffic.ask(kind, "B", (to, ASKED), 3, 3)
    errors(traffic)
    traffic.flood("broadcast", "255.255.255.255", 7)
    traffic.flood("multicast", "239.1.2.3", 7)
    traffic.stream()
    extras.pause()
    traffic.ask("burst", "A", (PUBLIC, ASKED), 15, 30, 1392)
    extras.resume()


def errors(traffic: Traffic) -> None:
    """Send what the routers and the server answer with ICMP errors."""
    for host in "AB":
        for version, to in (("", PUBLIC), (" 6", PUBLIC6)):
            for hops in (2, 3):
                traffic.fail(f"exceeded at R{hops}{version}", host, (to, ASKED), hops)
            for _ in range(2):
                traffic.fail(f"unreachable{version}", host, (to, CLOSED))
        traffic.fail("too big", host, (BY_VXLAN, ASKED), size=1472)
        traffic.fail("too big 6", host, (BY_VXLAN6, ASKED), size=1440)
