"""Flows seen in former windows: their numbers, and which way is their original one."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.batch import ObservationBatch
from tracer.core.journeys import FLOW_DTYPE
from tracer.core.mixing import mixed
from tracer.core.schema import StructuredArray
from tracer.correlate.hashing import Codes, Keys, factorise

_ENDS = (("src", "sport"), ("dst", "dport"))


class KnownFlows:
    """Numbers flows in the order in which their first journeys began.

    A flow is known again by its packets where they appear first or last: place, MACs, VLAN and
    five-tuple, the same or turned round. All of a stream (`stream` of each row) have these alike.
    """

    def __init__(self) -> None:
        self._keys = np.empty(0, np.uint64)  # ascending
        self._flow = np.empty(0, np.int64)
        self._forward = np.empty(0, np.bool_)
        self._places: dict[tuple[str | None, ...], int] = {}
        self.table: StructuredArray = np.empty(0, FLOW_DTYPE)

    def find(
        self, batch: ObservationBatch, stream: Codes, rows: Codes
    ) -> tuple[Codes, NDArray[np.bool_]]:
        """Return the flow of the packet at each row, -1 for none, and whether it goes forward."""
        codes, firsts = factorise(stream[rows].view(np.uint64))
        flow, forward = self._look_up(self._keys_of(batch, rows[firsts])[0])
        return flow[codes], forward[codes]

    def add(self, records: StructuredArray) -> Codes:
        """Return the numbers of flows that are new (FLOW_DTYPE)."""
        start = len(self.table)
        self.table = np.concatenate([self.table, records])
        self.table["journeys"][start:] = 0
        return np.arange(start, len(self.table))

    def counted(self, flow: NDArray[np.int32]) -> StructuredArray:
        """Return the records of all flows so far, with journeys of the given flows added."""
        self.table = self.table.copy()  # the former one was given out
        counts = np.bincount(flow[flow >= 0], minlength=len(self.table))
        self.table["journeys"] += counts.astype(np.int32)
        return self.table

    def learn(
        self, batch: ObservationBatch, stream: Codes, rows: Codes, flow: Codes,
        forward: NDArray[np.bool_],
    ) -> None:  # fmt: skip
        """Remember packets by the flow they are of and whether they go its original way."""
        _, firsts = factorise(stream[rows].view(np.uint64))
        rows, flow, forward = rows[firsts], flow[firsts], forward[firsts]
        there, back = self._keys_of(batch, rows)
        keys = np.concatenate([there, back])
        _, firsts = factorise(keys)
        found, _ = self._look_up(keys[firsts])
        fresh = firsts[found < 0]
        self._keys = np.concatenate([self._keys, keys[fresh]])
        self._flow = np.concatenate([self._flow, np.concatenate([flow, flow])[fresh]])
        ways = np.concatenate([forward, ~forward])[fresh]
        self._forward = np.concatenate([self._forward, ways])
        order = np.argsort(self._keys, kind="stable")
        self._keys, self._flow = self._keys[order], self._flow[order]
        self._forward = self._forward[order]

    def _look_up(self, keys: Keys) -> tuple[Codes, NDArray[np.bool_]]:
        if not len(self._keys):
            return np.full(len(keys), -1, np.int64), np.zeros(len(keys), np.bool_)
        at = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        flow: Codes = np.where(self._keys[at] == keys, self._flow[at], -1)
        return flow, self._forward[at]

    def _keys_of(self, batch: ObservationBatch, rows: Codes) -> tuple[Keys, Keys]:
        # Of the packet at each row, and of what comes the other way there.
        p: Any = batch.packets.take(rows)
        _address_arp(batch, rows, p)
        names = [(point.host, point.netns, point.name, point.hook) for point in batch.points]
        places = [self._places.setdefault(name, len(self._places)) for name in names]
        base = mixed(np.full(len(rows), 31, np.uint64), np.array([*places, -1])[p["point"]])
        # Errors have no id; those of one type are a flow, as in `Identity.flow`.
        is_error = (p["icmp_type"] >= 0) & (p["icmp_id"] < 0)
        base = mixed(base, np.where(is_error, -2 - p["icmp_type"].astype(np.int64), p["icmp_id"]))
        for name in ("proto", "vlan", "ethertype"):
            base = mixed(base, p[name])
        ends = [
            mixed(mixed(mixed(mixed(base, p[f"{e}_hi"]), p[f"{e}_lo"]), p[port]), p[f"{e}_mac"])
            for e, port in _ENDS
        ]
        three = np.uint64(3)  # `mixed` alone is the same either way round
        return mixed(ends[0] * three, ends[1]), mixed(ends[1] * three, ends[0])


def _address_arp(batch: ObservationBatch, rows: Codes, p: Any) -> None:
    # Who asks, and for whom; the question goes to all MACs, the answer to one.
    arp = batch.sections["arp"]
    if not len(arp):
        return
    at = np.minimum(np.searchsorted(arp["row"], rows), len(arp) - 1)
    is_arp = np.flatnonzero(arp["row"][at] == rows)
    for end, name in (("src", "arp_sender_ip"), ("dst", "arp_target_ip")):
        p[f"{end}_lo"][is_arp] = arp[f"{name}_lo"][at[is_arp]]
        p[f"{end}_mac"][is_arp] = 0
