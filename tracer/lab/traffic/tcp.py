"""One TCP connection along a case: handshake, data both ways, a retransmission, close."""

import contextlib
import socket
from collections.abc import Iterator
from dataclasses import replace

from tracer.core.errors import LabError
from tracer.lab import truth
from tracer.lab.sockets import TIMEOUT_S, arriving, lose_one, open_socket
from tracer.lab.traffic.log import Sent, line, payload, port_of

SEGMENT_LEN = 200


def send_tcp(
    case: str,
    count: int = 3,
    *,
    port: int = 8080,
    sport: int = 0,
    lose: tuple[str, str] | None = None,
) -> list[Sent]:
    """Return the log of `count` segments along a case and of the answers, over one connection.

    Handshake and close are not in the log. `lose` (short name of the point before the loss,
    namespace it happens in) drops the client's second data segment there once, so that it is sent
    again; its log line then comes twice, the first with `lost_after`.
    """
    one = truth.case(case)
    log: list[Sent] = []
    with _connection(one, port, sport) as (client, server):
        for index in range(count):
            log += _segment(one, "request", (client, server), lose if index == 1 else None)
            log += _segment(one, "reply", (server, client))
    return log


@contextlib.contextmanager
def _connection(
    one: truth.Case, port: int, sport: int
) -> Iterator[tuple[socket.socket, socket.socket]]:
    client = open_socket(truth.point(one.source).netns, socket.SOCK_STREAM)
    listener = open_socket(truth.point(one.target).netns, socket.SOCK_STREAM)
    with client, listener, arriving(f"A TCP segment along {one.name}"):
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("", port))
        listener.listen(1)
        client.bind((one.request[0].src, sport))
        client.connect((one.address, port))
        server, _ = listener.accept()
        with server:
            for end in (client, server):
                end.settimeout(TIMEOUT_S)
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            yield client, server
            client.shutdown(socket.SHUT_WR)
            server.recv(1)
        client.recv(1)


def _segment(
    one: truth.Case,
    kind: str,
    ends: tuple[socket.socket, socket.socket],
    lose: tuple[str, str] | None = None,
) -> list[Sent]:
    sender, receiver = ends
    number, marker, body = payload(None, SEGMENT_LEN)
    ports = {"sport": port_of(sender), "dport": sender.getpeername()[1]}
    sent = line(one, kind, "tcp", (number, marker), **ports)
    with contextlib.ExitStack() as stack:
        if lose is not None:
            # not the source port: --random-fully has changed it where the rule stands
            match = f"tcp dport {ports['dport']} meta length > {SEGMENT_LEN}"
            stack.enter_context(lose_one(lose[1], match))
        sender.sendall(body)
        got = receiver.recv(SEGMENT_LEN, socket.MSG_WAITALL)
    if got != body:
        message = f"A TCP segment along {one.name} arrived changed or not at all."
        raise LabError(message, hint="Run: tracer lab status")
    return [sent] if lose is None else [replace(sent, lost_after=lose[0]), sent]
