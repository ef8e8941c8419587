"""A wire that delays, swaps and doubles frames, and writes down which: two veth ends and a thread.

netem is not in every kernel, so the wire is a program: what comes out of one end goes into the
other, except that some frames wait until others have passed and some go twice.
"""

import ctypes
import os
import random
import select
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.kernel.beside import beside
from tests.kernel.routed import Routed, run
from tracer.sources.live.syscalls import network_namespace

ETH_P_ALL = 3
_PAYLOAD_AT = 42  # Ethernet, IPv4 and UDP headers before a datagram's payload
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass
class Wire:
    """What the wire did to numbered datagrams to a port.

    `number` reads the number of a datagram's payload; of all frames it loses those that `loses`.
    """

    port: int
    number: Callable[[bytes], int | None]
    loses: Callable[[bytes], bool]
    doubled: list[int] = field(default_factory=list)
    overtaken: list[int] = field(default_factory=list)


def first_four(payload: bytes) -> int | None:
    """Return the number in the first four bytes; 0 is the mark that ends a recording."""
    return int.from_bytes(payload[:4], "big") or None


@contextmanager
def wired(
    net: Routed,
    port: int,
    seed: int = 1,
    number: Callable[[bytes], int | None] = first_four,
    loses: Callable[[bytes], bool] = lambda frame: False,
) -> Iterator[Wire]:
    """Put the wire between router and server of a topology for the block."""
    space = net.router.replace("router", "wire")
    run(f"ip -n {net.router} link del r1 && ip netns add {space}")
    try:
        for name, device, end, last in ((net.router, "r1", "w1", 1), (net.server, "s0", "w2", 2)):
            run(f"ip -n {name} link add {device} type veth peer name {end} netns {space}")
            run(f"ip -n {name} addr add 10.7.2.{last}/24 dev {device}")
            run(f"ip -n {name} link set {device} up && ip -n {space} link set {end} up")
            run(f"ip netns exec {name} ethtool -K {device} tx off tso off gso off gro off")
        run(f"ip -n {net.server} route add default via 10.7.2.1")
        run(f"ip netns exec {net.client} ethtool -K c0 tx off tso off gso off gro off")
        wire = Wire(port, number, loses)
        with network_namespace(f"/run/netns/{space}"):
            ends = [socket.socket(socket.AF_PACKET, socket.SOCK_RAW) for _ in range(2)]
            for end, device in zip(ends, ("w1", "w2"), strict=True):
                end.bind((device, ETH_P_ALL))
        try:
            with beside(_carry, wire, ends, random.Random(seed)):
                yield wire
        finally:
            for end in ends:
                end.close()
    finally:
        run(f"ip netns del {space}")


def _carry(wire: Wire, ends: list[socket.socket], chance: random.Random, stop: int) -> None:
    waiting: list[tuple[int, bytes]] = []  # how many have yet to pass, the frame
    # As a wire would: nothing else runs on this processor while it carries a frame.
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    while True:
        ready, _, _ = select.select([*ends, stop], [], [], 0.02 if waiting else None)
        if stop in ready:
            return
        if not ready:
            waiting = _pass(ends[1], [(0, frame) for _, frame in waiting])
        for end in ready:
            frame, (_, _, kind, *_) = end.recvfrom(1 << 16)
            if kind == socket.PACKET_OUTGOING:
                continue
            if wire.loses(frame):
                continue
            other = ends[1 - ends.index(end)]
            number = _number(frame, wire)
            if number is None:
                other.send(frame)
                continue
            if chance.random() < 0.1:
                wire.overtaken.append(number)
                waiting.append((3, frame))
                continue
            if chance.random() < 0.05:
                wire.doubled.append(number)
                send_twice(other, frame)
            else:
                other.send(frame)
            waiting = _pass(other, [(left - 1, held) for left, held in waiting])


def send_twice(end: socket.socket, frame: bytes) -> None:
    """Send a frame twice by one system call.

    Between two calls the thread that sends datagrams may take the interpreter, and lose its
    processor to others before it gives it back: milliseconds, where a real wire takes none.
    """
    data = ctypes.create_string_buffer(frame, len(frame))
    vector = ctypes.create_string_buffer(struct.pack("PN", ctypes.addressof(data), len(frame)))
    # struct mmsghdr: name, its length, iovec, their number, control, its length, flags; bytes sent
    each = struct.pack("PIPNPNi4xI4x", 0, 0, ctypes.addressof(vector), 1, 0, 0, 0, 0)
    messages = ctypes.create_string_buffer(2 * each, 2 * len(each))
    if _libc.sendmmsg(end.fileno(), messages, 2, 0) != 2:
        raise OSError(ctypes.get_errno(), "the wire could not send a frame twice")


def _pass(end: socket.socket, waiting: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    for left, frame in waiting:
        if left <= 0:
            end.send(frame)
    return [(left, frame) for left, frame in waiting if left > 0]


def _number(frame: bytes, wire: Wire) -> int | None:
    is_udp = frame[12:14] == b"\x08\x00" and frame[23] == socket.IPPROTO_UDP
    if not is_udp or int.from_bytes(frame[36:38], "big") != wire.port:
        return None
    return wire.number(frame[_PAYLOAD_AT:])


@contextmanager
def tcpdumps(folder: Path, places: list[tuple[str, str, str]], mark: bytes) -> Iterator[None]:
    """Capture at (namespace, device, options) during the block, until each file has the mark."""
    dumps = (Dump(space, device, folder / f"{device}.pcap", more) for space, device, more in places)
    with until_marked(dumps, mark):
        yield


@contextmanager
def until_marked(dumps: Iterable["Dump"], mark: bytes) -> Iterator[None]:
    """Have tcpdumps run during the block, begun one by one, until the file of each has the mark.

    None may drop a packet.
    """
    running = []
    try:
        for dump in dumps:
            running.append(dump)
        yield
        for child in running:
            child.wait_for(mark)
        for child in running:
            said = child.stop()
            assert b"\n0 packets dropped by kernel" in said, said.decode()
    finally:
        for child in running:
            child.stop()


class Dump:
    """A tcpdump at a device of a namespace, there once it listens."""

    def __init__(self, space: str, device: str, file: Path, options: str = "") -> None:
        command = f"ip netns exec {space} tcpdump -Z root -i {device} -n -U --immediate-mode"
        self._file = file
        self._child = subprocess.Popen(
            f"{command} {options} -w {file}".split(), stderr=subprocess.PIPE
        )
        assert self._child.stderr is not None
        while b"listening on" not in (line := self._child.stderr.readline()):
            assert line, command

    def wait_for(self, mark: bytes) -> None:
        """Wait until the file has those bytes."""
        until = time.monotonic() + 20
        while mark not in self._file.read_bytes():
            assert time.monotonic() < until, f"{self._file} has not the mark"
            time.sleep(0.02)

    def stop(self) -> bytes:
        """End it and return what it said."""
        if self._child.returncode is None:
            self._child.terminate()
            _, self._said = self._child.communicate()
        return self._said
