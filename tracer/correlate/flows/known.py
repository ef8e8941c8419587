"""Flows seen in former windows: their numbers, and which way is their original one."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.batch import ObservationBatch
from tracer.core.jit import inner, inner_plain, jit, jit_plain
from tracer.core.journeys import FLOW_DTYPE
from tracer.core.mixing import mix
from tracer.core.protocols import ETHERTYPE_ARP
from tracer.core.records import copied, joined
from tracer.core.schema import StructuredArray
from tracer.correlate.hashing import Codes, Keys, first_at_least

Mask = NDArray[np.bool_]
_FEW = 1024  # slots to begin with
_UNSEEN, _NEW = -2, -1  # instead of a flow: a stream not looked up yet, one of no known flow


class KnownFlows:
    """Numbers flows in the order in which their first journeys began.

    A flow is known again by its packets where they appear first or last: place, MACs, VLAN and
    five-tuple, the same or turned round.
    """

    def __init__(self) -> None:
        # Open addressing; a slot holds a key and 2 * flow + 1 + (whether it goes forward), 0: free.
        self.slots = np.zeros((_FEW, 2), np.uint64)
        self.used = 0
        self.places: dict[tuple[str | None, ...], int] = {}
        self.table: StructuredArray = np.empty(0, FLOW_DTYPE)

    def add(self, records: StructuredArray) -> Codes:
        """Return the numbers of flows that are new (FLOW_DTYPE)."""
        start = len(self.table)
        self.table = joined([self.table, records], FLOW_DTYPE)
        self.table["journeys"][start:] = 0
        return np.arange(start, len(self.table))

    def counted(self, flow: NDArray[np.int32]) -> StructuredArray:
        """Return the records of all flows so far, with journeys of the given flows added."""
        self.table = copied(self.table)  # the former one was given out
        counts = np.bincount(flow[flow >= 0], minlength=len(self.table))
        self.table["journeys"] += counts.astype(np.int32)
        return self.table


class SeenFlows:
    """Which known flows the packets of a batch are of, and what they tell of new ones.

    All packets of a stream (`stream` of each row, `streams` in all) are alike in what a flow is
    known by: each stream is looked up once.
    """

    def __init__(
        self, known: KnownFlows, batch: ObservationBatch, stream: Codes, streams: int
    ) -> None:
        self._known, self._batch, self._stream = known, batch, stream
        names = [(point.host, point.netns, point.name, point.hook) for point in batch.points]
        places = [known.places.setdefault(name, len(known.places)) for name in names]
        self._places = np.array([*places, -1])
        self._keys = np.empty((streams, 2), np.uint64)  # the packets', and the answers'
        self._flow = np.full(streams, _UNSEEN, np.int64)
        self._forward = np.zeros(streams, np.bool_)

    def find(self, rows: Codes) -> tuple[Codes, Mask]:
        """Return the flow of the packet at each row, -1 for none, and whether it goes forward."""
        arp = self._batch.sections["arp"]
        asked = tuple(arp[name].copy() for name in ("row", "arp_sender_ip_lo", "arp_target_ip_lo"))
        _look_up(
            self._batch.packets, rows, self._stream, self._places, asked, self._known.slots,
            self._keys, self._flow, self._forward,
        )  # fmt: skip
        streams = self._stream[rows]
        return self._flow[streams], self._forward[streams]

    def learn(self, rows: Codes, flow: Codes, forward: Mask) -> None:
        """Remember packets by the flow they are of and whether they go its original way.

        The rows are among those that were looked for.
        """
        known = self._known
        known.slots, known.used = _learn(
            known.slots, known.used, self._stream[rows], flow, forward, self._keys, self._flow
        )


@inner_plain
def _slot(slots: Keys, key: Any) -> Any:
    # Where a key is, or is to be put.
    at: Any = np.int64(key & np.uint64(len(slots) - 1))
    while slots[at, 1] and slots[at, 0] != key:
        at = (at + 1) & (len(slots) - 1)
    return at


@inner_plain
def _write_keys(p: Any, row: int, places: Codes, arp: Any, out: Keys) -> None:
    # Of a packet, and of what comes the other way there.
    r = p[row]
    here, there, sender, taker = r.src_lo, r.dst_lo, r.src_mac, r.dst_mac
    if r.ethertype == ETHERTYPE_ARP:
        # Who asks, and for whom; the question goes to all MACs, the answer to one.
        rows, senders, targets = arp
        at = first_at_least(rows, row)
        if at < len(rows) and rows[at] == row:
            here, there = senders[at], targets[at]
            sender = taker = np.uint64(0)
    # Errors have no id; those of one type are a flow, as in `Identity.flow`.
    ident = np.int64(r.icmp_id)
    if r.icmp_type >= 0 and ident < 0:
        ident = np.int64(-2) - np.int64(r.icmp_type)
    h = mix(mix(np.uint64(31), np.uint64(places[r.point])), np.uint64(ident))
    h = mix(mix(mix(h, np.uint64(r.proto)), np.uint64(r.vlan)), np.uint64(r.ethertype))
    a = mix(mix(mix(mix(h, r.src_hi), here), np.uint64(r.sport)), sender)
    b = mix(mix(mix(mix(h, r.dst_hi), there), np.uint64(r.dport)), taker)
    three = np.uint64(3)  # `mix` alone is the same either way round
    out[0], out[1] = mix(a * three, b), mix(b * three, a)


@jit_plain
def _look_up(
    p: Any, rows: Codes, stream: Codes, places: Codes, arp: Any, slots: Keys, keys: Keys,
    flow: Codes, forward: Mask,
) -> None:  # fmt: skip
    # The streams of rows, those that were not looked up before.
    for row in rows:
        of = stream[row]
        if flow[of] == _UNSEEN:
            _write_keys(p, row, places, arp, keys[of])
            value = np.int64(slots[_slot(slots, keys[of, 0]), 1])
            flow[of] = ((value + 1) >> 1) - 1
            forward[of] = value > 0 and value & 1 == 0


@inner
def _roomy(slots: Keys, used: int) -> Keys:
    # The same with at least half of the slots free.
    if 2 * used <= len(slots):
        return slots
    size = len(slots)
    while size < 2 * used:
        size *= 2
    larger = np.zeros((size, 2), np.uint64)
    for old in range(len(slots)):
        if slots[old, 1]:
            at = _slot(larger, slots[old, 0])
            larger[at, 0], larger[at, 1] = slots[old, 0], slots[old, 1]
    return larger


@inner_plain
def _put(slots: Keys, key: Any, value: int) -> int:
    # Unless it is there; how many were added.
    at = _slot(slots, key)
    if slots[at, 1]:
        return 0
    slots[at, 0], slots[at, 1] = key, np.uint64(value)
    return 1


@jit
def _learn(
    slots: Keys, used: int, stream: Codes, number: Codes, forward: Mask, keys: Keys, flow: Codes
) -> tuple[Keys, int]:
    # `number`, `forward`, `stream`: of each packet; `keys`, `flow`: of each stream. What comes the
    # other way yields to what was seen.
    fresh = np.empty(len(stream), np.int64)
    count = 0
    for i in range(len(stream)):
        if flow[stream[i]] == _NEW:
            flow[stream[i]] = number[i]
            fresh[count] = i
            count += 1
    slots = _roomy(slots, used + 2 * count)
    for side in range(2):
        for i in fresh[:count]:
            value = 2 * number[i] + 1 + np.int64(forward[i] != (side == 1))
            used += _put(slots, keys[stream[i], side], value)
    return slots, used
