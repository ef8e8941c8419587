"""Why the hops of a journey were joined: what was equal, what changed, what else was possible."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tracer.core.enums import Cause, Evidence
from tracer.core.journeys import UNTIMED, JourneySet
from tracer.core.rows import Rows, nulls, values_at
from tracer.core.schema import BY_NAME
from tracer.correlate.packets.spans import spans

#: What forwarding and NAT leave alone.
KEPT = (
    "proto", "ip_id", "ip_len", "frag_offset", "icmp_type", "icmp_code", "icmp_seq", "tcp_seq",
    "tcp_ack", "tcp_flags", "tcp_window", "tcp_tsval", "tcp_tsecr", "tcp_sack", "payload_len",
    "payload_digest", "flow_label", "arp_op", "arp_sender_mac", "arp_sender_ip", "arp_target_ip",
)  # fmt: skip
#: What tells flows and links apart.
TOLD = ("src", "dst", "sport", "dport", "icmp_id", "ttl", "src_mac", "dst_mac", "vlan", "vni")
#: What something on the way may shift, where a join rests on that.
SHIFTED = ("tcp_seq", "tcp_ack", "tcp_tsval", "tcp_tsecr")
#: Of TOLD, what a packet gets and loses again on its way.
_PUT_ON = ("vlan", "vni")
#: What another row has to share to have been a candidate.
_ALIKE = ("proto", "icmp_type", "icmp_seq", "tcp_seq", "tcp_ack", "payload_len", "frag_offset")
_ENDS = ("src_hi", "src_lo", "dst_hi", "dst_lo", "sport", "dport", "icmp_id")
_KEPT_BY_NAT = ("ip_id", "payload_digest")
_ARP_SAYS = ("arp_op", "arp_sender_mac", "arp_sender_ip_hi", "arp_sender_ip_lo",
             "arp_target_ip_hi", "arp_target_ip_lo")  # fmt: skip
NEAR_NS = 500_000_000
MOST_REJECTED = 16


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that could have been the hop by its bytes, and why it was not taken."""

    capture: str | None
    frame: int
    journey: int | None
    apart_ns: int | None  # None where the time of either is not known
    reason: str


@dataclass(frozen=True, slots=True)
class JoinReason:
    """Why hop `n` follows hop `parent`: `kept` fields are equal, `changed` ones differ.

    `bytes`: where the two are one datagram cut in different ways, which of its bytes the parent and
    the hop have, (first, one after the last) of either; else None.
    """

    n: int
    parent: int
    evidence: str
    cause: str
    candidates: int
    confidence: float
    kept: tuple[str, ...]
    changed: tuple[str, ...]
    rejected: tuple[Rejected, ...]
    bytes: tuple[tuple[int, int], tuple[int, int]] | None = None


def explain_joins(journey_set: JourneySet, journey: int) -> tuple[JoinReason, ...]:
    """Return a reason for each hop after the first of a journey (index into the set's journeys)."""
    record = journey_set.journeys[journey]
    hops = journey_set.hops[record["first_hop"] : record["first_hop"] + record["n_hops"]]
    return tuple(_reason(journey_set, hops, hop) for hop in hops if hop["parent"] > 0)


def _reason(journey_set: JourneySet, hops: Any, hop: Any) -> JoinReason:
    pair = np.array([hops["row"][hop["parent"] - 1], hop["row"]], np.int64)
    told = (*TOLD, *SHIFTED) if hop["evidence"] == Evidence.RENUMBERED else TOLD
    return JoinReason(
        int(hop["n"]),
        int(hop["parent"]),
        Evidence(hop["evidence"]).label,
        Cause(hop["cause"]).label,
        int(hop["candidates"]),
        float(hop["confidence"]),
        tuple(name for name in KEPT if _equal(journey_set, name, pair) is True),
        tuple(name for name in told if _changed(journey_set, name, pair)),
        _rejected(journey_set, hops, hop),
        _bytes(journey_set.observations.packets, pair),
    )


def _bytes(packets: Any, pair: Rows) -> tuple[tuple[int, int], tuple[int, int]] | None:
    pieces = (packets["frag_offset"][pair] > 0) | (packets["more_fragments"][pair] == 1)
    if not pieces.any():
        return None
    begin, end = spans(packets, pair)
    before, here = zip(begin.tolist(), end.tolist(), strict=True)
    return (before, here) if before != here else None


def _equal(journey_set: JourneySet, name: str, pair: Rows) -> bool | None:
    # None where one side does not have the field.
    stored = values_at(journey_set.observations, name, pair)
    if nulls(BY_NAME[name], stored).any():
        return None
    return all(bool(part[0] == part[1]) for part in stored)


def _changed(journey_set: JourneySet, name: str, pair: Rows) -> bool:
    if name in _PUT_ON:
        absent = nulls(BY_NAME[name], values_at(journey_set.observations, name, pair))
        if absent[0] != absent[1]:
            return True
    return _equal(journey_set, name, pair) is False


def _rejected(journey_set: JourneySet, hops: Any, hop: Any) -> tuple[Rejected, ...]:
    batch = journey_set.observations
    packets = batch.packets
    mine = packets[hop["row"]]
    alike = (packets["point"] == mine["point"]) & (packets["time_ns"] > mine["time_ns"] - NEAR_NS)
    alike &= packets["time_ns"] < mine["time_ns"] + NEAR_NS
    rows = np.flatnonzero(alike)
    for name in _ALIKE:
        rows = rows[packets[name][rows] == mine[name]]
    # Of other flows those that this one's packet may have become: NAT leaves these alone.
    same = np.logical_and.reduce([packets[name][rows] == mine[name] for name in _ENDS])
    kept = np.logical_and.reduce([packets[name][rows] == mine[name] for name in _KEPT_BY_NAT])
    rows = rows[same | kept]
    rows = rows[~np.isin(rows, hops["row"])]
    rows = _of_equal_arp(batch.sections["arp"], int(hop["row"]), rows)
    apart = packets["time_ns"][rows] - mine["time_ns"]
    rows = rows[np.argsort(np.abs(apart), kind="stable")[:MOST_REJECTED]]
    owner = _journeys_of(journey_set, rows)
    return tuple(_rejection(batch, mine, int(row), owner.get(int(row))) for row in rows)


# ARP packets are candidates only if they ask, or answer, the same.
def _of_equal_arp(arp: Any, mine: int, rows: Rows) -> Rows:
    at = np.searchsorted(arp["row"], mine)
    if at == len(arp) or arp["row"][at] != mine:
        return rows
    said = arp[np.searchsorted(arp["row"], rows)]
    equal = [said[name] == arp[name][at] for name in _ARP_SAYS]
    chosen: Rows = rows[np.logical_and.reduce(equal)]
    return chosen


def _journeys_of(journey_set: JourneySet, rows: Rows) -> dict[int, int]:
    hops = journey_set.hops[np.isin(journey_set.hops["row"], rows)]
    return dict(zip(hops["row"].tolist(), hops["journey"].tolist(), strict=True))


def _rejection(batch: Any, mine: Any, row: int, journey: int | None) -> Rejected:
    other = batch.packets[row]
    capture = batch.captures[other["capture"]] if other["capture"] >= 0 else None
    is_timed = UNTIMED not in (other["time_ns"], mine["time_ns"])
    apart = int(other["time_ns"] - mine["time_ns"]) if is_timed else None
    reason = _difference(mine, other) or (
        "an equal packet, nearer in time to another journey" if is_timed
        else "an equal packet, of another journey"
    )  # fmt: skip
    return Rejected(capture, int(other["frame"]), journey, apart, reason)


def _difference(mine: Any, other: Any) -> str | None:
    if any(mine[name] != other[name] for name in _ENDS):
        return "another flow's packet"
    for name, words in (
        ("ip_id", "another IP id"),
        ("payload_digest", "other bytes"),
        ("tcp_tsval", "another TCP time stamp"),
        ("tcp_sack", "other SACK blocks"),
        ("tcp_window", "another TCP window"),
        ("ttl", "another TTL"),
        ("dst_mac", "another link"),
        ("vlan", "another VLAN"),
    ):
        if mine[name] != other[name]:
            return words
    return None
