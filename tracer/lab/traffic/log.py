"""The sender's log: what is known to have been sent, apart from anything a capture says.

Every payload carries a number of its own, so that a test can tell which packet it sees without
trusting any header; or, with a pattern, all payloads are equal (as with `ping -p`) and the log
tells packets apart by IP id and sequence number.
"""

import itertools
import socket
import time
from dataclasses import dataclass

from tracer.lab import truth

PAYLOAD_LEN = 56
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Sent:
    """One packet that is known to have been sent: a line of the sender's log.

    `case` and `kind` (`request` or `reply`) name its path in truth.toml; `number` is the number in
    its payload (None: constant payload), `marker` what to look for in a capture; `sent_ns` the UTC
    epoch before the call that sent it (an echo reply: its request); `src`, `dst` and ports as at
    its sender, `icmp_id` as at the one who asked; `ip_id` only where the sender chose it.
    `lost_after` is the short name of the point after which it was dropped on purpose.
    """

    case: str
    kind: str
    proto: str
    number: int | None
    marker: bytes
    sent_ns: int
    src: str
    dst: str
    sport: int | None = None
    dport: int | None = None
    icmp_id: int | None = None
    icmp_seq: int | None = None
    ip_id: int | None = None
    lost_after: str | None = None

    @property
    def path(self) -> tuple[truth.TrueHop, ...]:
        """Return the hops it must be seen at, in order."""
        hops = truth.case(self.case).path(self.kind)
        if self.lost_after is None:
            return hops
        last = max(index for index, hop in enumerate(hops) if hop.name == self.lost_after)
        return hops[: last + 1]


def payload(pattern: bytes | None, length: int = PAYLOAD_LEN) -> tuple[int | None, bytes, bytes]:
    """Return (number, marker, payload) of that many bytes: numbered, or the pattern repeated."""
    if pattern is not None:
        body = (pattern * length)[:length]
        return None, body, body
    number = next(_numbers)
    marker = b"#tracer:%08d#" % number
    filler = bytes(range(0x20, 0x7F)) * (length // 95 + 1)
    return number, marker, marker + filler[: length - len(marker)]


def line(
    one: truth.Case, kind: str, proto: str, tag: tuple[int | None, bytes], **fields: int | None
) -> Sent:
    """Return a log line stamped now; `tag` is the number and marker, `fields` the proto's own."""
    end = one.path(kind)[0]
    return Sent(
        one.name, kind, proto, *tag, time.time_ns(), end.src, end.dst, **fields  # type: ignore[arg-type]  # lost_after is the one text field and never in `fields`
    )  # fmt: skip


def port_of(bound: socket.socket) -> int:
    """Return the local port of a socket."""
    port: int = bound.getsockname()[1]
    return port
