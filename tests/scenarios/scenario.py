"""A scenario: what the captures hold, the dump if there is one, and the truth."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scenarios.clocks import Clock
from scenarios.frames import Frames
from tracer.core.address import V4_PREFIX
from tracer.core.batch import ObservationBatch
from tracer.core.conntrack import ConntrackEntry
from tracer.core.schema import StructuredArray

OVERLAP_NS = 100_000  # identical packets closer than this to each other's stay cannot be told apart
ENOUGH = 3  # packets of a flow that time alone must single out before the flow counts as known
UDP = 17
_FIXED = ("ip_id", "proto", "payload_len", "tcp_seq", "tcp_ack", "tcp_flags", "tcp_tsval",
          "tcp_tsecr", "tcp_window", "tcp_sack", "icmp_type", "icmp_code", "icmp_seq",
          "frag_offset", "more_fragments", "tos", "flow_label", "df")  # fmt: skip
_REWRITTEN = ("src_hi", "src_lo", "dst_hi", "dst_lo", "sport", "dport", "icmp_id")
_QUOTED = ("row", "inner_ip_id", "inner_tcp_seq", "inner_icmp_seq", "inner_proto", "inner_ttl")
_OPPOSITE = {"src_hi": "dst_hi", "src_lo": "dst_lo", "dst_hi": "src_hi", "dst_lo": "src_lo",
             "sport": "dport", "dport": "sport"}  # fmt: skip


@dataclass(slots=True)
class Truth:
    """What is so. A row each: `packet`, `true_ns`, `place` (how far on its way),
    `distinguishable`.

    A packet each (index is the packet): `lost_after` (point, -1 for not lost), and the packets it
    is the `reply_of`, the `retransmission_of` and which it `quotes`, -1 for none. `clocks`: a point
    each.
    """

    packet: NDArray[np.int64]
    true_ns: NDArray[np.int64]
    place: NDArray[np.int32]
    distinguishable: NDArray[np.bool_]
    lost_after: NDArray[np.int64]
    reply_of: NDArray[np.int64]
    retransmission_of: NDArray[np.int64]
    quotes: NDArray[np.int64]
    clocks: tuple[Clock, ...]


@dataclass(slots=True)
class Scenario:
    """One seeded scenario; `meta` says what the payload bytes are (for writing pcap files)."""

    name: str
    batch: ObservationBatch
    conntrack: list[ConntrackEntry]
    truth: Truth
    doc: str
    meta: StructuredArray


def distinguishable(
    frames: Frames, told: NDArray[np.bool_], loose_ns: int = 0
) -> NDArray[np.bool_]:
    """Return per row whether anything in the captures tells its packet from all others.

    A packet is told apart by what nothing on the way rewrites, unless an equal packet was on its
    way at the same time. A flow with ENOUGH such packets is known on both sides of the NAT, so its
    other packets are told apart by their tuple as well. `told`: flows a conntrack dump shows.
    `loose_ns`: how much earlier or later than it was a packet may have been, for all clocks say.
    """
    if len(frames) == 0:
        return np.zeros(0, bool)
    packet, row_of = np.unique(frames.meta["packet"], return_inverse=True)
    first = np.zeros(len(packet), np.int64)
    first[row_of[::-1]] = np.arange(len(frames))[::-1]
    start = np.full(len(packet), np.iinfo(np.int64).max)
    stop = np.full(len(packet), np.iinfo(np.int64).min)
    np.minimum.at(start, row_of, frames.meta["true_ns"])
    np.maximum.at(stop, row_of, frames.meta["true_ns"])
    identity = _identity(frames, row_of, first)
    flow = frames.meta["flow"][first]
    start, stop = _possible(flow, start, stop)
    stop = stop + loose_ns
    unique = ~_overlapping(identity, start, stop)
    known = np.zeros(int(flow.max()) + 1, bool)
    known[: len(told)] |= told[: len(known)]
    known |= np.bincount(flow[unique], minlength=len(known)) >= ENOUGH
    in_flow = np.column_stack([identity[:, None], flow[:, None]])
    alone = ~_overlapping(_codes(in_flow), start, stop)
    found: NDArray[np.bool_] = (unique | (known[flow] & alone))[row_of]
    return found


# When each packet may have been on its way: one that was lost, or not captured at first, might have
# been seen for as long as half of its flow's packets were.
def _possible(
    flow: NDArray[np.int64], start: NDArray[np.int64], stop: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    order = np.lexsort((stop - start, flow))
    begins = np.searchsorted(flow[order], flow)
    sizes = np.searchsorted(flow[order], flow, side="right") - begins
    usual = (stop - start)[order[begins + sizes // 2]]
    return np.minimum(start, stop - usual), np.maximum(stop, start + usual)


def _codes(columns: NDArray[np.int64]) -> NDArray[np.int64]:
    _, codes = np.unique(columns, axis=0, return_inverse=True)
    return codes.reshape(-1).astype(np.int64)


# Equal numbers: nothing but time and what was rewritten on the way tells the packets apart.
def _identity(
    frames: Frames, row_of: NDArray[np.int64], first: NDArray[np.int64]
) -> NDArray[np.int64]:
    p, m = frames.packets, frames.meta
    columns = [p[name][first].astype(np.int64) for name in _FIXED]
    # Where some capture cut a flow's packets, their bytes tell rows apart at other points only.
    cut = np.zeros(int(m["flow"].max()) + 1, bool)
    quoting = p["icmp_type"] >= 0
    quoting &= ~np.isin(p["icmp_type"], (0, 8, 128, 129))
    cut[m["flow"][(p["payload_len"] > 0) & (p["payload_digest"] == 0) & ~quoting]] = True
    stream = np.where(cut[m["flow"][first]], 0, m["stream"][first].view(np.int64))
    columns += [m["offset"][first], stream]
    # What nobody's address names never leaves its link, on which the MAC stays what it is.
    nameless = (p["src_hi"] == 0) & np.isin(p["src_lo"], (0, V4_PREFIX))
    columns.append(np.where(nameless, p["src_mac"], 0)[first].astype(np.int64))
    arp = frames.sections.get("arp")
    if arp is not None:
        columns += [arp[f][first].astype(np.int64) for f in arp.dtype.names or ()]
    # Bytes that are sent back: the lower port is a service's, whatever NAT makes of the other.
    ways = np.sign(p["sport"][first] - p["dport"][first]).astype(np.int64)
    columns.append(np.where((p["proto"][first] == UDP) & (stream != 0), ways, 0))
    flow = m["flow"][first]
    columns += _unrewritten(p, _REWRITTEN, flow, row_of, first)
    quoted = frames.sections.get("quoted")
    if quoted is not None:
        columns += [quoted[f][first].astype(np.int64) for f in _QUOTED]
        inner = tuple(f"inner_{name}" for name in _REWRITTEN)
        columns += _unrewritten(quoted, inner, flow, row_of, first)
    return _codes(np.column_stack(columns))


# What is rewritten in one packet of a flow is so in all, and in answers at the other end.
def _unrewritten(
    p: StructuredArray, names: tuple[str, ...], flow: NDArray[np.int64], row_of: NDArray[np.int64],
    first: NDArray[np.int64],
) -> list[NDArray[np.int64]]:  # fmt: skip
    rewritten = np.zeros((len(names), int(flow.max()) + 1), bool)
    for i, name in enumerate(names):
        value = p[name].astype(np.uint64).view(np.int64)
        np.logical_or.at(rewritten[i], flow[row_of], value != value[first][row_of])
    columns = []
    for i, name in enumerate(names):
        outer = _REWRITTEN[i]
        either = rewritten[i] | rewritten[_REWRITTEN.index(_OPPOSITE.get(outer, outer))]
        value = p[name].astype(np.uint64).view(np.int64)[first]
        columns.append(np.where(either[flow], -7, value))
    return columns


def _overlapping(
    identity: NDArray[np.int64], start: NDArray[np.int64], stop: NDArray[np.int64]
) -> NDArray[np.bool_]:
    order = np.lexsort((start, identity))
    same = identity[order][1:] == identity[order][:-1]
    close = same & (start[order][1:] <= stop[order][:-1] + OVERLAP_NS)
    # One that began long before may stay longer than those between.
    span = int(stop.max() - start.min()) + 2 * OVERLAP_NS
    latest = np.maximum.accumulate(identity[order] * span + (stop[order] - start.min()))
    late = identity[order] * span + (start[order] - start.min())
    found = np.zeros(len(identity), bool)
    found[order[1:]] |= same & (late[1:] <= latest[:-1] + OVERLAP_NS)
    found[order[:-1]] |= close
    return found
