"""What sockets keep to tell of errors and of packets sent is no packet: on both engines.

client c0 ── r0 router r1 ── s0 server (tests/kernel/routed.py). Sockets of the client are told of
datagrams that are too long and of the times at which others left; what the sockets themselves say
is the oracle. None of it is read to its end before they are closed.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from engine_events import at, drain_until, dst

from tests.kernel.routed import Routed
from tracer.core.filter import FlowFilter
from tracer.sources.live import engine as engines
from tracer.sources.live.engine import Config
from tracer.sources.live.event_layout import Hook
from tracer.sources.live.syscalls import network_namespace

pytestmark = pytest.mark.kernel
SERVER = "fd07:2::2"
OPEN, CLOSED = 7801, 7802
# linux/in6.h, asm/socket.h and linux/net_tstamp.h: Python has no names for these.
RECVERR, RECVPATHMTU, DONTFRAG = 25, 60, 62
TIMESTAMPING, TX_SOFTWARE, SOFTWARE, TX_SCHED = 37, 1 << 1, 1 << 4, 1 << 8
TOO_LONG = bytes(2000)
ERRORS = 20


@contextmanager
def sending(net: Routed, *options: tuple[int, int, int]) -> Iterator[socket.socket]:
    """A socket of the client with options, closed in the end with all that it was told."""
    with network_namespace(f"/run/netns/{net.client}"):
        one = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    with one:
        for option in options:
            one.setsockopt(*option)
        yield one


def too_long(one: socket.socket, count: int) -> None:
    for _ in range(count):
        with pytest.raises(OSError, match="Message too long"):
            one.sendto(TOO_LONG, (SERVER, OPEN))


def told(one: socket.socket) -> bool:
    """Read one note; return whether there was one."""
    try:
        one.recvmsg(100, 1000, socket.MSG_ERRQUEUE | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    return True


def send_all(net: Routed) -> None:
    errors = ((socket.IPPROTO_IPV6, RECVERR, 1), (socket.IPPROTO_IPV6, DONTFRAG, 1))
    with sending(net, *errors) as one:
        too_long(one, 3)
        assert told(one)
    small = (socket.SOL_SOCKET, socket.SO_RCVBUF, 1)  # the kernel's least
    with sending(net, *errors, small) as one:
        too_long(one, ERRORS)
        kept = [*iter(lambda: told(one), False)]
        assert 1 <= len(kept) < ERRORS  # the others found no room
    with sending(net, errors[1], (socket.IPPROTO_IPV6, RECVPATHMTU, 1)) as one:
        too_long(one, 3)
    stamps = TX_SOFTWARE | SOFTWARE | TX_SCHED
    with sending(net, (socket.SOL_SOCKET, TIMESTAMPING, stamps)) as one:
        for _ in range(3):
            one.sendto(b"stamped", (SERVER, OPEN))
        assert told(one)
        assert told(one)
    with sending(net) as one:
        one.sendto(b"refused", (SERVER, CLOSED))


@pytest.mark.parametrize("name", ["core", "bcc"])
def test_what_is_freed_unread_is_no_packet(net: Routed, name: str) -> None:
    net.ping(SERVER, "-c1 -w10")
    with network_namespace(f"/run/netns/{net.server}"):
        listening = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    host = FlowFilter(host=("fd07::/16",))
    with listening, engines.open_engine(name, Config(host)) as engine:
        listening.bind((SERVER, OPEN))
        engine.attach()
        send_all(net)
        for _ in range(3):
            assert listening.recv(100) == b"stamped"
        events = drain_until(engine, lambda e: bool((at(e, Hook.KFREE)["dport"] == CLOSED).any()))
    here = [net.inum(space) for space in net.names] + [0]
    freed = at(events, Hook.KFREE)
    freed = freed[np.isin(freed["netns"], here)]
    # The datagram that nobody listened for; ICMP that told of it may end, too.
    assert [int(e["dport"]) for e in freed if e["proto"] == socket.IPPROTO_UDP] == [CLOSED]
    assert {int(e["proto"]) for e in freed} <= {socket.IPPROTO_UDP, socket.IPPROTO_ICMPV6}
    assert not [dst(e) for e in freed if e["proto"] != socket.IPPROTO_UDP and dst(e) == SERVER]
