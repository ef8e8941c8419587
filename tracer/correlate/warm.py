"""A tiny run of the correlator, for what it compiles on the way."""

import numpy as np

from tracer.core.address import NULL_U64
from tracer.core.batch import ObservationBatch
from tracer.core.change_keys import change_keys
from tracer.core.distinct import distinct
from tracer.core.enums import Kind
from tracer.core.point import Point
from tracer.core.schema import PACKET_DTYPE, StructuredArray, null_record
from tracer.core.spread import Layout, Spread
from tracer.correlate.clocks.alignment import Clocks
from tracer.correlate.clocks.hop_order import settle_across
from tracer.correlate.flows.retransmissions import sent_again
from tracer.correlate.hashing import Codes, Keys
from tracer.correlate.join import JoinOptions, assembled, flows_beside
from tracer.correlate.joining.assembly import assemble
from tracer.correlate.joining.journeys import Assembly
from tracer.correlate.joining.packets import Packets
from tracer.correlate.nat.guesses import unresolved
from tracer.correlate.nat.opposites import opposites_of
from tracer.correlate.nat.streams import Streams
from tracer.correlate.order.links import LinkOrder, settle
from tracer.correlate.outcomes.answered import answered_at
from tracer.correlate.outcomes.paths import Paths
from tracer.correlate.outcomes.watched import Watch
from tracer.correlate.packets.duplicates import one_by_one
from tracer.correlate.packets.echoed import each_way
from tracer.correlate.packets.identity import Identity
from tracer.correlate.renumbered.candidates import candidates
from tracer.correlate.result import journey_set

_PACKETS, _GAP_NS, _HOP_NS = 12, 1_000_000, 10_000
_PLACES = (("a", "in"), ("a", "out"), ("b", "in"))


def warm() -> None:
    """Find the journeys of made packets of the dtypes captures give, so that hot functions compile.

    What is compiled is in numba's cache for every process that uses the same cache folder.
    """
    assembled(made_batch(), (), JoinOptions())


def warm_rest() -> None:
    """Make a result of made journeys, and what tables of it need: what `warm` leaves.

    Of what `warm` does it compiles the last only, which is not begun there by then.
    """
    batch = made_batch()
    rows, journeys = len(batch), len(batch) // 2
    zeros, keys, no = np.zeros(rows, np.int64), np.zeros(rows, np.uint64), np.zeros(rows, np.bool_)
    place = batch.packets["point"].astype(np.int64)
    identity = Identity(
        keys, keys, keys, ~no, place, place, zeros, zeros, zeros, zeros,
        np.zeros(rows, np.int32), zeros, keys, keys,
        np.zeros(rows, np.int8), np.zeros(rows, np.int32), keys[:0],
        no[:0], place, ("",), keys, keys[:0],
    )  # fmt: skip
    first = np.zeros(1, np.int64)
    found = Assembly(
        np.arange(rows) // 2, zeros - 1, np.ones(rows, np.int32), no, no.copy(), journeys
    )
    hops, starts = np.arange(rows), np.arange(0, rows + 1, 2)
    found.ends = starts[1:] - 1
    time = batch.packets["time_ns"].copy()
    streams = Streams(
        zeros, zeros, first, first + rows, keys[:0], keys, zeros[:0], np.empty(0, np.bool_)
    )
    order = LinkOrder(zeros, keys[:0], zeros[:0], zeros[:0], zeros[:0], keys[:1], first)
    # First what takes longest: `warm` comes to it in the middle.
    assemble(batch.packets, identity, (hops, starts), streams, zeros - 1, zeros[:0], time, order,
             (_GAP_NS, 0), zeros)  # fmt: skip
    packets = Packets(batch, identity, streams, found, (hops, starts), Clocks(time, (), 0), order)
    candidates(batch.packets, place, keys, (hops, starts))
    opposites = opposites_of(batch, identity, streams)
    told = journey_set(packets, flows_beside(packets, lambda: opposites), Watch(None, 0))
    keys = change_keys(told, np.arange(len(told.hops)))
    distinct(keys, keys, 0)
    Spread(Layout(PACKET_DTYPE, lambda _: -1), batch.packets, np.arange(rows), ("ttl",))
    each_way(*_echo())
    _answered(batch, identity)
    one_by_one(batch.packets, zeros, no[:0], no)
    links = (zeros, keys[:0], zeros[:0], zeros[:0])
    sent_again(batch.packets, hops, zeros, time, hops[:1])
    unresolved(batch.packets, hops, starts, zeros, zeros, time, links, keys)
    settle(zeros, hops, starts, time, zeros, zeros, keys[:0], zeros[:0],
           (zeros, zeros, keys[:0], zeros[:0]), no[:0],
           (batch.packets["capture"], batch.packets["frame"], zeros, no[:0]),
           zeros[:0])  # fmt: skip
    settle_across(hops, starts, zeros, zeros, zeros, keys[:0])


def _answered(batch: ObservationBatch, identity: Identity) -> None:
    # Of two journeys of several hops, where one answers the other, who got the question.
    rows = len(batch)
    none, no = np.zeros(rows, np.int64), np.zeros(2, np.bool_)
    starts, kind = np.array([0, rows // 2, rows]), np.full(2, Kind.ARP_REQUEST, np.int8)
    reply, flow = np.array([1, -1], np.int64), np.zeros(2, np.int64)
    paths = Paths(np.arange(rows), starts, none, kind, reply, flow, no, starts[1:] - 1, no, no)
    answered_at(batch.packets, identity, paths, none - 1)


def _echo() -> tuple[StructuredArray, Keys, Codes, Codes]:
    # A datagram and its answer of the same bytes, as `each_way` takes them.
    p = np.repeat(null_record(PACKET_DTYPE), 2)
    p["src_hi"] = p["dst_hi"] = 0
    p["src_lo"], p["sport"] = (1, 2), (40_000, 7)
    p["dst_lo"], p["dport"] = p["src_lo"][::-1], p["sport"][::-1]
    return p, np.arange(2, dtype=np.uint64), np.arange(2), np.array([0, 2])


def made_batch() -> ObservationBatch:
    """Return a few TCP segments and their acknowledgements, seen before and after a source NAT."""
    points = tuple(Point(host, None, device) for host, device in _PLACES)
    parts = [_seen(place, back) for place in range(len(points)) for back in (False, True)]
    packets = np.concatenate([*parts, *(_alike(part) for part in parts)])
    packets["frame"] = np.arange(1, len(packets) + 1)
    captures = tuple(f"{host}-{device}" for host, device in _PLACES)
    return ObservationBatch(packets, points=points, captures=captures)


def _seen(place: int, back: bool) -> StructuredArray:
    p = np.repeat(null_record(PACKET_DTYPE), _PACKETS)
    numbers = np.arange(_PACKETS)
    way = len(_PLACES) - place if back else place
    client, server = (10 + (place > 0), 40_000 + (place > 0)), (20, 443)
    (source, sport), (target, dport) = (server, client) if back else (client, server)
    p["time_ns"] = 1_700_000_000 * 10**9 + numbers * _GAP_NS + way * _HOP_NS + back * _GAP_NS // 2
    p["point"] = p["capture"] = place
    p["src_hi"] = p["dst_hi"] = 0
    p["src_lo"], p["dst_lo"], p["sport"], p["dport"] = source, target, sport, dport
    p["ethertype"], p["ip_version"], p["proto"], p["ttl"] = 0x0800, 4, 6, 64 - way
    p["src_mac"] = p["dst_mac"] = NULL_U64
    p["frag_offset"] = p["more_fragments"] = 0
    p["ip_id"], p["ip_len"], p["payload_len"] = numbers + 1, 140, 0 if back else 100 + numbers % 2
    p["wire_len"] = p["cap_len"] = 154
    p["tcp_seq"], p["tcp_ack"] = numbers * 100, 77
    p["tcp_flags"], p["tcp_window"] = 16, 501
    p["payload_digest"] = 0 if back else numbers + 9
    return p


def _alike(part: StructuredArray) -> StructuredArray:
    # Another flow, whose packets nothing but the time tells apart.
    p = part.copy()
    p["proto"], p["tcp_seq"], p["tcp_ack"], p["tcp_flags"], p["tcp_window"] = 17, -1, -1, -1, -1
    p["payload_len"], p["payload_digest"], p["ip_id"] = 8, 7, 0
    return p
