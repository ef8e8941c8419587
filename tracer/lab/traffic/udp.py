"""Datagrams along a case, and their answers."""

import socket

from tracer.core.errors import LabError
from tracer.lab import truth
from tracer.lab.sockets import arriving, open_socket
from tracer.lab.traffic.log import PAYLOAD_LEN, Sent, line, payload, port_of


def send_udp(
    case: str,
    count: int = 3,
    *,
    port: int = 5353,
    sport: int = 0,
    pattern: bytes | None = None,
    length: int = PAYLOAD_LEN,
) -> list[Sent]:
    """Return the log of `count` datagrams along a case and of the answers to them.

    A datagram and its answer carry different numbers. `sport` 0 lets the kernel choose. Raises
    LabError when one does not arrive as it was sent.
    """
    one = truth.case(case)
    client = open_socket(truth.point(one.source).netns, socket.SOCK_DGRAM)
    server = open_socket(truth.point(one.target).netns, socket.SOCK_DGRAM)
    log: list[Sent] = []
    with client, server, arriving(f"A datagram along {case}"):
        server.bind(("", port))
        client.bind((one.request[0].src, sport))
        client.connect((one.address, port))
        for _ in range(count):
            number, marker, body = payload(pattern, length)
            ports = {"sport": port_of(client), "dport": port}
            log.append(line(one, "request", "udp", (number, marker), **ports))
            client.send(body)
            received, peer = server.recvfrom(65535)
            if received != body:
                message = f"A datagram to {one.address} port {port} arrived changed."
                raise LabError(message, hint="Run: tracer lab status")
            number, marker, body = payload(pattern, length)
            log.append(line(one, "reply", "udp", (number, marker), sport=port, dport=peer[1]))
            server.sendto(body, peer)
            client.recv(65535)
    return log
