"""A flow in one capture: which rows, who asked, how its sequence runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.address import NULL_U64, decode_ip
from tracer.core.batch import ObservationBatch

Rows = NDArray[np.int64]
Address = tuple[int, int]
NULL_ADDRESS = (NULL_U64, NULL_U64)
WRAP = 1 << 16  # ICMP sequence numbers have 16 bits
_REQUESTS = (8, 128)
_REPLIES = (0, 129)
_KEY = np.dtype(
    [
        ("capture", "<i4"), ("point", "<i4"), ("proto", "<i2"),
        ("a_hi", "<u8"), ("a_lo", "<u8"), ("b_hi", "<u8"), ("b_lo", "<u8"),
        ("a_port", "<i4"), ("b_port", "<i4"),
    ]
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class FlowKey:
    """What names a flow in one place: `client` asks `server`; ICMP has its id as `client_port`."""

    proto: int
    client: Address
    server: Address
    client_port: int
    server_port: int

    @property
    def is_icmp(self) -> bool:
        """Whether the flow is a ping."""
        return self.proto in (1, 58)

    @property
    def name(self) -> str:
        """Text of the flow: `192.168.3.69 > 100.121.0.75 id 22344`."""
        source, target = decode_ip(*self.client) or "?", decode_ip(*self.server) or "?"
        if self.is_icmp:
            return f"{source} > {target} id {self.client_port}"
        return f"{source}:{self.client_port} > {target}:{self.server_port}"


@dataclass(frozen=True, eq=False)
class Sighting:
    """A flow in one capture: rows of requests and replies, ascending; `placed` have no addresses.

    `seq` (int64) and `time_ns` are those of the packets that carry both, in time order: requests,
    or replies where no request was captured.
    """

    capture: int
    point: int
    clock: str
    key: FlowKey
    requests: Rows
    replies: Rows
    placed: tuple[int, ...]
    seq: Rows
    time_ns: Rows

    @cached_property
    def sample(self) -> tuple[float, float]:
        """Sequence number and time in ns of its first packet: the capture as a point of a line.

        One packet, so that whoever doubts a fit can check it by hand.
        """
        return float(self.seq[0]), float(self.time_ns[0])

    @cached_property
    def gaps(self) -> NDArray[np.float64]:
        """Time in ns per sequence number between neighbours, shape (packets - 1,)."""
        steps = np.diff(self.seq)
        times = np.diff(self.time_ns)
        return np.asarray(times[steps > 0] / steps[steps > 0], np.float64)

    @property
    def has_sequence(self) -> bool:
        """Whether it can lie on a line."""
        return len(self.seq) > 0


def find_sightings(batch: ObservationBatch) -> list[Sighting]:
    """Return the flows of each capture: pings, TCP and UDP; packets of other kinds are in none."""
    packets = batch.packets
    is_reply = _is_reply(packets)
    rows = np.flatnonzero(_takes_part(packets))
    keys = _keys(packets[rows], is_reply[rows])
    found, owner = np.unique(keys, return_inverse=True)
    order = np.argsort(owner, kind="stable")
    parts = np.split(rows[order], np.flatnonzero(np.diff(owner[order])) + 1) if len(rows) else []
    groups = dict(zip(map(_flow_key, found), parts, strict=True))
    placed = _place(groups)
    return [
        _sighting(batch, place, key, part, is_reply, placed.get((place, key), ()))
        for (place, key), part in groups.items()
    ]


def _takes_part(packets: Any) -> NDArray[np.bool_]:
    kind = packets["icmp_type"]
    is_echo = np.isin(packets["proto"], (1, 58)) & np.isin(kind, (*_REQUESTS, *_REPLIES))
    return np.asarray((is_echo & (packets["icmp_id"] >= 0)) | (packets["sport"] >= 0), np.bool_)


# A ping's answer says so. Else the client has the higher port, unless a SYN says who opened.
def _is_reply(packets: Any) -> NDArray[np.bool_]:
    is_icmp = np.isin(packets["proto"], (1, 58))
    echo = np.isin(packets["icmp_type"], _REPLIES)
    upward = packets["sport"] < packets["dport"]
    flags = packets["tcp_flags"]
    has_syn = (flags >= 0) & (flags & 0x02 != 0)
    ports = np.where(has_syn, flags & 0x10 != 0, upward)
    return np.asarray(np.where(is_icmp, echo, ports), np.bool_)


def _keys(packets: Any, is_reply: NDArray[np.bool_]) -> NDArray[Any]:
    keys = np.zeros(len(packets), _KEY)
    is_icmp = np.isin(packets["proto"], (1, 58))
    for name in ("capture", "point", "proto"):
        keys[name] = packets[name]
    for half in ("hi", "lo"):
        source, target = packets[f"src_{half}"], packets[f"dst_{half}"]
        keys[f"a_{half}"] = np.where(is_reply, target, source)
        keys[f"b_{half}"] = np.where(is_reply, source, target)
    ports = np.where(is_reply, packets["dport"], packets["sport"])
    keys["a_port"] = np.where(is_icmp, packets["icmp_id"], ports)
    keys["b_port"] = np.where(is_icmp, -1, np.where(is_reply, packets["sport"], packets["dport"]))
    return keys


Place = tuple[int, int]  # capture, point


def _flow_key(key: Any) -> tuple[Place, FlowKey]:
    place = (int(key["capture"]), int(key["point"]))
    client, server = (int(key["a_hi"]), int(key["a_lo"])), (int(key["b_hi"]), int(key["b_lo"]))
    flow = FlowKey(int(key["proto"]), client, server, int(key["a_port"]), int(key["b_port"]))
    return place, flow


# Packets without addresses go to the one flow of their capture with the same id or ports.
def _place(groups: dict[tuple[Place, FlowKey], Rows]) -> dict[tuple[Place, FlowKey], Rows]:
    whole: dict[tuple[Place, int, int, int], list[tuple[Place, FlowKey]]] = {}
    lost: list[tuple[Place, FlowKey]] = []
    for spot in groups:
        if NULL_ADDRESS in (spot[1].client, spot[1].server):
            lost.append(spot)
        else:
            whole.setdefault(_nameless(spot), []).append(spot)
    placed: dict[tuple[Place, FlowKey], Rows] = {}
    for spot in lost:
        found = whole.get(_nameless(spot), [])
        if len(found) == 1:
            rows = groups.pop(spot)
            placed[found[0]] = np.concatenate([placed.get(found[0], rows[:0]), rows])
            groups[found[0]] = np.sort(np.concatenate([groups[found[0]], rows]))
    return placed


def _nameless(spot: tuple[Place, FlowKey]) -> tuple[Place, int, int, int]:
    return spot[0], spot[1].proto, spot[1].client_port, spot[1].server_port


def _sighting(
    batch: ObservationBatch,
    place: Place,
    key: FlowKey,
    rows: Rows,
    is_reply: NDArray[np.bool_],
    placed: Sequence[int] | Rows,
) -> Sighting:
    requests, replies = rows[~is_reply[rows]], rows[is_reply[rows]]
    seq, times = _sequence(batch, key, requests if len(requests) else replies)
    clock = batch.points[place[1]].clock_name
    return Sighting(
        place[0], place[1], clock, key, requests, replies, tuple(int(row) for row in placed),
        seq, times,
    )  # fmt: skip


def _sequence(batch: ObservationBatch, key: FlowKey, rows: Rows) -> tuple[Rows, Rows]:
    seq = batch.packets["icmp_seq"][rows].astype(np.int64)
    times = batch.packets["time_ns"][rows]
    usable = (seq >= 0) & (times >= 0) if key.is_icmp else np.zeros(len(rows), np.bool_)
    seq, times = seq[usable], times[usable]
    order = np.argsort(times, kind="stable")
    seq, times = seq[order], times[order]
    # A fall of more than half the numbers is the counter beginning anew.
    return seq + WRAP * np.cumsum(np.diff(seq, prepend=seq[:1]) < -WRAP // 2), times
