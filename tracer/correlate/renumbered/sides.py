"""Sides: where a connection has one numbering, both directions of it, over one or more places."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.batch import ObservationBatch
from tracer.core.jit import jit
from tracer.core.mixing import mixed
from tracer.core.protocols import TCP
from tracer.correlate.hashing import Codes, Keys, factorise, find, roots
from tracer.correlate.nat.streams import Streams
from tracer.correlate.nat.tuples import unordered
from tracer.correlate.packets.identity import Identity, reverse_of

SYN, ACK = 0x02, 0x10


@dataclass(slots=True)
class Sides:
    """Rows of connections, sorted by place and time, and the side that each is on.

    Shapes (rows,): `row` of the batch, `side`, and `way` (0, 1: which of its directions). `side_of`
    and `place_of`: of each node, which is a connection at one place. There are `count` sides;
    `two_ways`: whether the ways of each are known to be two.
    """

    row: Codes
    side: Codes
    way: Codes
    side_of: Codes
    place_of: Codes
    count: int
    two_ways: NDArray[np.bool_]


def _tuples(batch: ObservationBatch, identity: Identity, rows: Codes) -> tuple[Keys, Keys, Keys]:
    # Sorted tuple hashes of the connections that rows are of, either way, the connection of each,
    # and which of its ways that is.
    _, firsts = factorise(identity.flow[rows])
    flow = identity.flow[rows[firsts]]
    back = reverse_of(batch, rows[firsts], identity.mirrored)
    known, at = np.unique(np.concatenate([flow, back]), return_index=True)
    connection = unordered(flow, back)
    way = np.concatenate([flow > back, back > flow])[at]
    return known, np.concatenate([connection, connection])[at], way.astype(np.uint64)


def _rows_of(
    packets: Any, identity: Identity, streams: Streams, tuples: tuple[Keys, Keys, Keys]
) -> tuple[Codes, Keys, Codes]:
    # TCP rows of the connections, the connection of each and its way.
    known, connections, ways = tuples
    of_stream = identity.flow[streams.first]
    at = np.minimum(np.searchsorted(known, of_stream), len(known) - 1)
    wanted = np.append(known[at] == of_stream, False)  # -1: of no stream
    rows = np.flatnonzero(wanted[streams.stream])
    is_read = (packets["proto"][rows] == TCP) & (packets["tcp_ack"][rows] >= 0)
    rows = rows[is_read & (packets["tcp_flags"][rows] >= 0) & (packets["frag_offset"][rows] <= 0)]
    at = at[streams.stream[rows]]
    return rows, connections[at], ways[at].astype(np.int64)


def _connected(
    batch: ObservationBatch, identity: Identity, streams: Streams, journey: Codes, chosen: Codes
) -> tuple[Codes, Keys, Codes]:
    # `_rows_of` what the connections of chosen rows are before and behind translations, too.
    count = 0
    while True:
        tuples = _tuples(batch, identity, chosen)
        found = _rows_of(batch.packets, identity, streams, tuples)
        if len(tuples[0]) == count:
            return found
        count = len(tuples[0])
        there = np.zeros(int(journey.max(initial=-1)) + 2, np.bool_)
        there[journey[found[0]]] = True
        there[-1] = False
        chosen = np.flatnonzero(there[journey] & (batch.packets["proto"] == TCP))


@jit
def _nodes(p: Any, rows: Codes, code: Codes) -> Codes:
    # Of rows sorted by code and time: a number for each code, and a new one where a SYN begins
    # another connection of the same tuple.
    out = np.empty(len(rows), np.int64)
    node, syn = np.int64(-1), np.int64(-1)
    for i in range(len(rows)):
        r = p[rows[i]]
        begins = r.tcp_flags & (SYN | ACK) == SYN
        if i == 0 or code[i] != code[i - 1]:
            node, syn = node + 1, np.int64(-1)
        elif begins and r.tcp_seq != syn:
            node += 1
        if begins:
            syn = r.tcp_seq
        out[i] = node
    return out


@jit
def _linked(halves: int, first: Codes, second: Codes) -> Codes:
    # Roots of halves where pairs are one, and so are their opposites (which end in the other bit).
    parent = np.empty(halves, np.int64)
    for i in range(halves):
        parent[i] = i
    for i in range(len(first)):
        for back in range(2):
            a, b = find(parent, first[i] ^ back), find(parent, second[i] ^ back)
            parent[max(a, b)] = min(a, b)
    return roots(parent)


def sides_of(
    batch: ObservationBatch, identity: Identity, streams: Streams, journey: Codes,
    chosen: Codes, time: Codes,
) -> Sides:  # fmt: skip
    """Return the sides of the connections that `chosen` rows are of.

    `journey` of each row, as packets were joined by their numbers: what one packet with both of
    them went past is one side. `time` of each row: a SYN begins the next connection of a tuple.
    """
    packets = batch.packets
    rows, connection, way = _connected(batch, identity, streams, journey, chosen)
    code, _ = factorise(mixed(connection, identity.place[rows]))
    order = np.lexsort((time[rows], code))
    rows, way, code = rows[order], way[order], code[order]
    node = _nodes(packets, rows, code)
    half = 2 * node + way
    firsts = np.flatnonzero(np.diff(node, prepend=-1))
    # With both numbers: one of them is another one beyond what shifts the numbers.
    numbered = np.flatnonzero((packets["tcp_flags"][rows] & ACK > 0) & (journey[rows] >= 0))
    by_journey = numbered[np.argsort(journey[rows[numbered]], kind="stable")]
    same = np.diff(journey[rows[by_journey]]) == 0
    pairs = half[by_journey[:-1][same]], half[by_journey[1:][same]]
    root = _linked(2 * len(firsts), *pairs)
    least = np.minimum(root[0::2], root[1::2])
    _, side_of = np.unique(least, return_inverse=True)
    side_of = side_of.reshape(-1).astype(np.int64)
    count = int(side_of.max(initial=-1)) + 1
    two_ways = np.ones(count, np.bool_)
    two_ways[side_of[root[0::2] == root[1::2]]] = False
    turned = (root[half] != least[node]).astype(np.int64)
    return Sides(
        rows, side_of[node], turned, side_of, identity.place[rows[firsts]], count, two_ways
    )
