"""Captures of pings taken one after the other, as engineers do by hand."""

from dataclasses import dataclass

import numpy as np

from tracer.core.address import encode_ip
from tracer.core.batch import ObservationBatch
from tracer.core.point import Point
from tracer.core.schema import PACKET_DTYPE, null_record

VM, SDATA = "192.168.3.69", "100.121.0.75"
SECOND = 1_000_000_000


@dataclass
class Ping:
    """A ping: number n is sent at `start_ns` + n periods, with a jitter of its own."""

    ident: int
    start_ns: int
    period_ns: int
    source: str = VM
    target: str = SDATA

    def sent_ns(self, seq: int, rng: np.random.Generator) -> int:
        """Return when a number is sent."""
        return self.start_ns + seq * self.period_ns + int(rng.integers(0, 500_000))


@dataclass
class Look:
    """A capture: what a device shows of a ping for a few packets from a moment on."""

    device: str
    ping: Ping
    at_s: float
    count: int
    ttl: int
    source: str = VM
    target: str = SDATA
    ident: int | None = None
    offset_ns: int = 0
    host: str = "compute"


def batch_of(looks: list[Look], seed: int) -> ObservationBatch:
    """Return what the captures show, each at a point of its own."""
    rng = np.random.default_rng(seed)
    records, points = [], []
    for number, look in enumerate(looks):
        points.append(Point(host=look.host, device=look.device))
        first = int((look.at_s * SECOND - look.ping.start_ns) / look.ping.period_ns) + 1
        for seq in range(first, first + look.count):
            sent = look.ping.sent_ns(seq, rng) + look.offset_ns
            records.append(_record(number, look, seq, sent, False, int(rng.integers(1, 65536))))
            records.append(
                _record(number, look, seq, sent + 400_000, True, int(rng.integers(1, 65536)))
            )
    packets = np.concatenate(records) if records else np.empty(0, PACKET_DTYPE)
    names = tuple(f"{number}.txt" for number in range(len(looks)))
    return ObservationBatch(packets=packets, points=tuple(points), captures=names)


def _record(
    capture: int, look: Look, seq: int, time: int, is_reply: bool, ip_id: int
) -> np.ndarray:
    record = null_record(PACKET_DTYPE)
    ends = (look.source, look.target)
    for name, address in zip(("src", "dst"), ends[::-1] if is_reply else ends, strict=True):
        record[f"{name}_hi"], record[f"{name}_lo"] = encode_ip(address)
    record["time_ns"], record["icmp_seq"], record["ip_id"] = time, seq % 65536, ip_id
    record["capture"] = record["point"] = capture
    record["proto"], record["icmp_type"] = 1, 0 if is_reply else 8
    record["icmp_id"] = look.ident if look.ident is not None else look.ping.ident
    record["ttl"] = 125 - look.ttl if is_reply else look.ttl
    return record
