"""Geneve and GRE tunnels that a program carries, for kernels that have no such devices.

The kernel makes inner frames (a TAP or TUN device) and outer headers (its sockets); what lies
between, a Geneve header (RFC 8926) or a GRE header (RFC 2784), is put there by a thread.
"""

import fcntl
import os
import select
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from campus import VNI, Campus, tunnel_end

from tests.kernel.beside import beside
from tracer.sources.live.syscalls import network_namespace

TUNSETIFF, IFF_TUN, IFF_TAP, IFF_NO_PI = 0x400454CA, 1, 2, 0x1000
GENEVE_PORT = 6081
GENEVE_HEADER = struct.pack("!BBHI", 0, 0, 0x6558, VNI << 8)  # carries Ethernet
GRE_HEADER = struct.pack("!HH", 0, 0x0800)  # carries IPv4
ENDS = (("R3", 1, 2), ("S", 2, 1))
KINDS = {"gn": (7, IFF_TAP), "gr": (8, IFF_TUN)}


@contextmanager
def user_tunnels(net: Campus) -> Iterator[None]:
    """Have gn1 ─ gn0 (Geneve) and gr1 ─ gr0 (GRE) between R3 and S during the block."""
    ends = [
        (device, *_end(net.name(short), f"{device}{number % 2}", device, number), peer)
        for device in KINDS
        for short, number, peer in ENDS
    ]
    try:
        with beside(_carry, ends):
            yield
    finally:
        for _, device, outside, _ in ends:
            os.close(device)
            outside.close()


def _end(space: str, name: str, kind: str, own: int) -> tuple[int, socket.socket]:
    number, flags = KINDS[kind]
    with network_namespace(f"/run/netns/{space}"):
        device = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", name.encode(), flags | IFF_NO_PI))
        if kind == "gn":
            outside = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            outside.bind((f"10.9.5.{own}", GENEVE_PORT))
        else:
            outside = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_GRE)
            outside.bind((f"10.9.5.{own}", 0))
    tunnel_end(space, name, number, own, 1400)
    return device, outside


def _carry(ends: list[tuple[str, int, socket.socket, int]], stop: int) -> None:
    while True:
        waited = [stop, *(device for _, device, _, _ in ends), *(s for _, _, s, _ in ends)]
        ready, _, _ = select.select(waited, [], [])
        if stop in ready:
            return
        for kind, device, outside, peer in ends:
            header, port = (GENEVE_HEADER, GENEVE_PORT) if kind == "gn" else (GRE_HEADER, 0)
            if device in ready:
                inner = os.read(device, 1 << 16)
                is_carried = kind == "gn" or inner[0] >> 4 == 4  # no IPv6 in this GRE
                if is_carried:
                    outside.sendto(header + inner, (f"10.9.5.{peer}", port))
            if outside in ready:
                outer = outside.recv(1 << 16)
                ip_header = 4 * (outer[0] & 15) if kind == "gr" else 0
                os.write(device, outer[ip_header + len(header) :])
