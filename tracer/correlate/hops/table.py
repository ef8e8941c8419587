"""The hop columns: place in the journey, time, parent, and what the join rests on."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.address import NULL_U64
from tracer.core.batch import ObservationBatch
from tracer.core.enums import Evidence
from tracer.core.jit import jit_plain
from tracer.core.journeys import HOP_DTYPE, NO_TIME, UNTIMED
from tracer.core.point import Direction
from tracer.core.schema import StructuredArray
from tracer.correlate.clocks.alignment import Clocks
from tracer.correlate.hashing import Codes, Keys, pair_keys
from tracer.correlate.hops.branches import parents
from tracer.correlate.hops.by_number import by_number
from tracer.correlate.hops.confidence import (
    CERTAIN,
    CONFIDENCE,
    LONG_NS,
    PROVEN,
    RENUMBERED,
    USUAL,
    cell_of,
    delay_of,
    unusual,
)
from tracer.correlate.hops.rivals import note_rivals
from tracer.correlate.hops.strays import end_on_way, strays
from tracer.correlate.joining.journeys import Assembly
from tracer.correlate.nat.streams import Streams, is_proven
from tracer.correlate.order.links import LinkOrder
from tracer.correlate.packets.buffers import buffers, note_branches
from tracer.correlate.packets.identity import BARE, Identity
from tracer.correlate.packets.taken_up import ends_of_doubled

_NONE, _FINGERPRINT = int(Evidence.NONE), int(Evidence.FINGERPRINT)
_SEQUENCE, _NO_TIME = int(Evidence.SEQUENCE), int(NO_TIME)
_UNKNOWN, _INGRESS, _EGRESS = map(int, (Direction.UNKNOWN, Direction.INGRESS, Direction.EGRESS))


@jit_plain
def _fill(
    traits: Any, hops: Any, rows: Codes, starts: Codes, times: Any, parent: Codes, flow: Keys,
    of: Any, links: Any, cell: Any, changed: NDArray[np.bool_], confidence: Any,
) -> None:  # fmt: skip
    # `times`: as they are shown, and by which packets were joined. `changed`: whether the tuple is
    # another one than before; `confidence` of each cell.
    time, joining = times
    candidates, ambiguous, repeated = of
    trait, length = traits
    for journey in range(len(starts) - 1):
        for i in range(starts[journey], starts[journey + 1]):
            row, hop = rows[i], hops[i]
            hop.journey, hop.n, hop.row = journey, i - starts[journey] + 1, row
            hop.time_ns, hop.parent, hop.evidence, hop.cause = time[row], parent[i], _NONE, _NONE
            if parent[i] == 0:
                hop.delta_ns, hop.candidates, hop.confidence = _NO_TIME, -1, np.float32(np.nan)
                continue
            before = rows[starts[journey] + parent[i] - 1]
            delta, several = time[row] - time[before], candidates[row]
            hop.delta_ns = delta if delta >= 0 else _NO_TIME
            hop.candidates = several
            bare = repeated[row] or trait[row] & BARE
            hop.evidence = _SEQUENCE if bare else _FINGERPRINT
            delay = USUAL
            if delta >= LONG_NS or ambiguous[row] or repeated[row] or several > 1:
                delay = delay_of(before, row, joining[row] - joining[before], links)
            changed[i] = flow[before] != flow[row]
            cell[i] = cell_of(
                trait[before], trait[row], (length[before], length[row]),
                changed[i], several, ambiguous[row], repeated[row], delay,
            )  # fmt: skip
            hop.confidence = confidence[cell[i]]


def _direct(batch: ObservationBatch, identity: Identity, hops: Any, starts: Codes) -> None:
    # As the capture says, else by the device's own MAC, else by routing; in place.
    told = np.array([int(point.direction) for point in batch.points] + [-1], np.int8)
    macs = [NULL_U64 if point.mac is None else point.mac for point in batch.points]
    own = np.array([*macs, NULL_U64], np.uint64)
    netns = identity.netns
    is_said = bool((told[:-1] != _UNKNOWN).any() or (own != NULL_U64).any())
    if is_said or (netns >= 0).any():
        _directions(batch.packets, hops, starts, told, own, netns, identity.ttl, is_said)
    else:
        hops["direction"] = _UNKNOWN


@jit_plain
def _directions(
    p: Any, hops: Any, starts: Codes, told: Any, own: Any, netns: Codes, ttl: Codes, is_said: bool
) -> None:
    # The namespace that took one off the TTL was entered by the former hop and left by the latter.
    # `is_said`: whether some point tells by itself, so that records have to be read.
    for i in range(len(hops)):
        hops[i].direction = _UNKNOWN
        if not is_said:
            continue
        r = p[hops[i].row]
        hops[i].direction = told[r.point]
        if told[r.point] != _UNKNOWN or own[r.point] == NULL_U64:
            continue
        if r.src_mac == own[r.point]:
            hops[i].direction = _EGRESS
        elif r.dst_mac == own[r.point]:
            hops[i].direction = _INGRESS
    for i in range(len(hops)):
        if hops[i].parent == 0:
            continue
        j = starts[hops[i].journey] + hops[i].parent - 1
        a, b = hops[j].row, hops[i].row
        if netns[a] < 0 or netns[a] != netns[b] or ttl[a] <= ttl[b]:
            continue
        if hops[i].direction == _UNKNOWN:
            hops[i].direction = _EGRESS
        if hops[j].direction == _UNKNOWN:
            hops[j].direction = _INGRESS


def hop_table(
    batch: ObservationBatch,
    identity: Identity,
    streams: Streams,
    found: Assembly,
    layout: tuple[Codes, Codes],
    links: LinkOrder,
    clocks: Clocks,
) -> tuple[StructuredArray, Codes]:
    """Return HOP_DTYPE records without causes, and the row each hop came from (-1: first hop).

    Of packets that went two ways, and of flooded ones, it also settles `found.ends`.
    """
    rows, starts = layout
    hops = np.empty(len(rows), HOP_DTYPE)
    stray = strays(identity, links, layout, clocks.time_ns)
    if len(stray):
        stray = stray[links.link]
        end_on_way(stray, rows, starts, found.copy_of, found.ends)
    parent, doubled = parents(batch, identity, rows, starts, found.copy_of, found.numbers, stray)
    note_branches(batch, rows, starts, parent)
    if len(doubled):
        found.ends[doubled] = ends_of_doubled(
            identity.place, identity.ttl, identity.dst_mac, rows, starts, parent, doubled
        )
    before = np.where(parent > 0, rows[np.repeat(starts[:-1], np.diff(starts)) + parent - 1], -1)
    note_rivals(batch.packets, identity, streams, found, before, rows, links, clocks)
    joins = (found.candidates, found.ambiguous, found.repeated)
    cell = np.zeros(len(rows), np.int16)
    traits = (identity.traits, identity.length)
    times = (clocks.shown_ns, clocks.joining_ns)
    changed = np.zeros(len(rows), np.bool_)
    _fill(
        traits, hops, rows, starts, times, parent, identity.flow, joins, links.usual, cell, changed,
        CONFIDENCE,
    )  # fmt: skip
    _mix(hops, rows, before, found, links, cell)
    _untime(batch.packets["time_ns"] == UNTIMED, hops, rows, before)
    _direct(batch, identity, hops, starts)
    _prove(batch, streams, hops, rows, before, cell, changed, clocks)
    if len(identity.numbering):
        _note_renumbered(identity.numbering, hops, rows, before)
    return hops, before


def _note_renumbered(numbering: Codes, hops: Any, rows: Codes, before: Codes) -> None:
    # What rests on numbers that were shifted to be compared; a buffer is what it is.
    found = np.flatnonzero((before >= 0) & (numbering[rows] != numbering[before]))
    found = found[np.isin(hops["evidence"][found], (Evidence.FINGERPRINT, Evidence.CONNTRACK))]
    hops["evidence"][found] = Evidence.RENUMBERED
    hops["confidence"][found] = np.minimum(hops["confidence"][found], RENUMBERED)


def _mix(
    hops: Any, rows: Codes, before: Codes, found: Assembly, links: LinkOrder, cell: Any
) -> None:  # fmt: skip
    # Where packets overtake each other, that a time is usual says little of which one it was.
    if not len(links.mixed):
        return
    alike = np.flatnonzero((before >= 0) & found.repeated[rows] & found.ambiguous[rows])
    steps = pair_keys(links.link[before[alike]], links.link[rows[alike]])
    alike = alike[np.isin(steps, links.mixed)]
    cell[alike] = unusual(cell[alike])
    hops["confidence"][alike] = CONFIDENCE[cell[alike]]


def _untime(untimed: NDArray[np.bool_], hops: Any, rows: Codes, before: Codes) -> None:
    # Without a stamp no step takes a known time, and no confidence holds: those are of timed ones.
    if untimed.any():
        of_step = untimed[rows] | untimed[before]
        hops["delta_ns"][of_step] = NO_TIME
        hops["confidence"][of_step] = np.nan


def _prove(
    batch: ObservationBatch, streams: Streams, hops: Any, rows: Codes, before: Codes, cell: Any,
    changed: NDArray[np.bool_], clocks: Clocks,
) -> None:  # fmt: skip
    joined = before >= 0
    if len(streams.proven):
        a, b = streams.named[rows], streams.named[before]
        other = np.flatnonzero(joined & (a != b))
        proven = other[is_proven(a[other], b[other], streams.proven)]
        hops["evidence"][proven] = Evidence.CONNTRACK
        hops["confidence"][proven] = CONFIDENCE[cell[proven] + PROVEN]
    alone = by_number(batch, hops, before, np.flatnonzero(changed))
    if len(clocks.apart):  # equal packets at about one time, by clocks that nothing compares
        across = np.flatnonzero(joined & (clocks.apart[rows] != clocks.apart[before]))
        alone = np.union1d(alone, across)
    alone = alone[hops["evidence"][alone] != Evidence.CONNTRACK]
    hops["evidence"][alone], hops["confidence"][alone] = Evidence.SEQUENCE, np.nan
    kernel = batch.sections["kernel"]
    if len(kernel):
        skb = np.zeros(len(batch), np.uint64)
        skb[kernel["row"]] = buffers(kernel)
        same = np.flatnonzero(joined & (skb[rows] == skb[before]) & (skb[rows] != 0))
        hops["evidence"][same], hops["confidence"][same] = Evidence.SKB, CERTAIN
