"""Echo requests whose ids, sequence numbers and IP ids the sender chose and logged."""

import random
import socket
import struct
import time
from collections.abc import Iterator

import dpkt

from tracer.core.errors import LabError
from tracer.lab import truth
from tracer.lab.sockets import TIMEOUT_S, open_socket
from tracer.lab.traffic.log import Sent, line, payload


def ping(
    case: str,
    count: int = 3,
    *,
    interval_s: float = 0.02,
    pattern: bytes | None = None,
    icmp_id: int | None = None,
    answered: bool = True,
) -> list[Sent]:
    """Return the log of `count` echo requests along a case and of their replies.

    The IP ids are chosen here, rising as a Linux sender's do. Raises LabError when a reply is
    missing, unless `answered` is False: then none is waited for, and none is in the log.
    """
    one = truth.case(case)
    icmp_id = random.randrange(1, 0x10000) if icmp_id is None else icmp_id
    log: list[Sent] = []
    with open_socket(truth.point(one.source).netns, socket.SOCK_RAW, socket.IPPROTO_ICMP) as source:
        source.setsockopt(socket.IPPROTO_IP, socket.IP_HDRINCL, 1)
        for seq, ip_id in zip(range(1, count + 1), _ip_ids(), strict=False):
            number, marker, body = payload(pattern)
            for kind, chosen in (("request", ip_id), ("reply", None))[: 1 + answered]:
                fields = {"icmp_id": icmp_id, "icmp_seq": seq, "ip_id": chosen}
                log.append(line(one, kind, "icmp", (number, marker), **fields))
            source.sendto(_echo(one, icmp_id, seq, ip_id, body), (one.address, 0))
            if answered:
                _await_reply(source, one.address, icmp_id, seq)
            time.sleep(interval_s)
    return log


def _echo(one: truth.Case, icmp_id: int, seq: int, ip_id: int, body: bytes) -> bytes:
    echo = dpkt.icmp.ICMP.Echo(id=icmp_id, seq=seq, data=body)
    packet = dpkt.ip.IP(
        src=socket.inet_aton(one.request[0].src),
        dst=socket.inet_aton(one.request[0].dst),
        ttl=64,
        id=ip_id,
        df=1,
        p=dpkt.ip.IP_PROTO_ICMP,
        data=dpkt.icmp.ICMP(type=dpkt.icmp.ICMP_ECHO, data=echo),
    )
    packet.len = len(packet)
    return bytes(packet)


def _ip_ids() -> Iterator[int]:
    # Linux raises a destination's id by a random step; never 0, which the kernel would fill in.
    ip_id = random.randrange(1, 0x10000)
    while True:
        yield ip_id
        ip_id = (ip_id + random.randrange(1, 256) - 1) % 0xFFFF + 1


def _await_reply(source: socket.socket, address: str, icmp_id: int, seq: int) -> None:
    wanted = struct.pack("!HH", icmp_id, seq)
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            data, (sender, _) = source.recvfrom(65535)
        except TimeoutError:
            break
        icmp = data[(data[0] & 15) * 4 :]
        if sender == address and icmp[0] == dpkt.icmp.ICMP_ECHOREPLY and icmp[4:8] == wanted:
            return
    raise LabError(
        f"No reply from {address} to echo request id {icmp_id} seq {seq}.",
        hint="Run: tracer lab status",
    )
