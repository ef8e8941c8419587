"""What changed between a hop and the hop it came from, as columns, each change with its cause."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.batch import ObservationBatch
from tracer.core.enums import Cause
from tracer.core.journeys import JourneySet
from tracer.core.rows import Rows, has_record, is_packet_column, is_stored, nulls, values_at
from tracer.core.schema import BY_NAME, PACKET_DTYPE

# In the order they are shown. A field that is null on one side is unknown there, not changed ...
PACKET_FIELDS = (
    "ttl", "src", "dst", "sport", "dport", "icmp_id", "icmp_seq", "icmp_type",
    "src_mac", "dst_mac", "ip_id", "tos", "df", "flow_label",
    "ip_len", "payload_len", "tcp_seq", "tcp_ack", "mark",
)  # fmt: skip
# ... unless null means that the header is not there: a tag on Ethernet, a tunnel.
TAG_FIELDS = ("vlan", "vlan_inner", "mpls_label")
TUNNEL_FIELDS = ("encap", "vni", "outer_src", "outer_dst")
CHANGE_FIELDS = PACKET_FIELDS[:8] + TAG_FIELDS + TUNNEL_FIELDS + PACKET_FIELDS[8:]

# Eight bytes of a record are compared at once: how many there are, and in which a column lies.
_WORDS = PACKET_DTYPE.itemsize // 8
_OFFSETS = {name: place[1] for name, place in (PACKET_DTYPE.fields or {}).items()}
_WORDS_OF = {
    name: [_OFFSETS[part] // 8 for part in (name, f"{name}_hi", f"{name}_lo") if part in _OFFSETS]
    for name in CHANGE_FIELDS
}

_SOURCE_CAUSE = {Cause.SNAT_DNAT: Cause.SNAT, Cause.UN_SNAT_UN_DNAT: Cause.UN_DNAT}
_TARGET_CAUSE = {Cause.SNAT_DNAT: Cause.DNAT, Cause.UN_SNAT_UN_DNAT: Cause.UN_SNAT}
_ID_CAUSE = {Cause.SNAT_DNAT: Cause.SNAT, Cause.UN_SNAT_UN_DNAT: Cause.UN_SNAT}
_NAT = (
    Cause.SNAT, Cause.DNAT, Cause.UN_SNAT, Cause.UN_DNAT, Cause.SNAT_DNAT, Cause.UN_SNAT_UN_DNAT,
)  # fmt: skip
_NAT_FIELDS = {
    "src": _SOURCE_CAUSE,
    "sport": _SOURCE_CAUSE,
    "dst": _TARGET_CAUSE,
    "dport": _TARGET_CAUSE,
    "icmp_id": _ID_CAUSE,
}


@dataclass(frozen=True, slots=True)
class FieldChanges:
    """Every change of one field: places in the given hops, and stored values on both sides.

    `hops` (n,) indexes the hop array the changes were asked for; `before` and `after` are stored
    values as `core.rows.values_at` gives them; `cause` (n,) holds `core.enums.Cause`.
    """

    field: str
    hops: Rows
    before: tuple[NDArray[Any], ...]
    after: tuple[NDArray[Any], ...]
    cause: NDArray[np.int8]


def parent_rows(journey_set: JourneySet, hops: Rows) -> Rows:
    """Return the observation row each hop came from, shape (hops,), -1 for a first hop."""
    parent, rows = journey_set.hops["parent"][hops], journey_set.hops["row"]
    # The hops of a journey lie side by side, by number.
    places = hops - journey_set.hops["n"][hops] + parent
    return np.where(parent > 0, rows[places], -1)


def changes_at(journey_set: JourneySet, hops: Rows) -> list[FieldChanges]:
    """Return the changes of the hops (indices into the set's hops), a record a field."""
    records = journey_set.hops.take(hops)
    rows, parents = records["row"], parent_rows(journey_set, hops)
    steps = np.flatnonzero(parents >= 0)
    sides = _Sides(journey_set.observations, parents[steps], rows[steps])
    causes, ttl_fell = records["cause"][steps], _ttl_fell(sides)
    found = []
    for name in CHANGE_FIELDS:
        if sides.are_equal(name):
            continue
        before, after = sides.values(name)
        at = np.flatnonzero(_differs(before, after) & _known(sides, name, before, after))
        if len(at):
            cause = _causes(name, causes[at], ttl_fell[at], after, at)
            found.append(FieldChanges(name, steps[at], _at(before, at), _at(after, at), cause))
    return found


class _Sides:
    """Steps' observations before and after; packets are copied once, so that fields lie near."""

    def __init__(self, batch: ObservationBatch, parents: Rows, rows: Rows) -> None:
        self._batch, self._rows = batch, (parents, rows)
        self._packets = [ObservationBatch(batch.packets.take(side)) for side in self._rows]
        self._places = np.arange(len(rows))
        before, after = (side.packets.view(np.uint64).reshape(-1, _WORDS) for side in self._packets)
        self._differs = (before != after).any(axis=0)

    def are_equal(self, name: str) -> bool:
        """Return whether a column surely has the same values before and after; a quick look."""
        if not is_packet_column(name):
            return not is_stored(self._batch, name)
        return not any(self._differs[word] for word in _WORDS_OF[name])

    def values(self, name: str) -> list[tuple[NDArray[Any], ...]]:
        """Return a column's stored values before and after."""
        if is_packet_column(name):
            return [values_at(side, name, self._places) for side in self._packets]
        return [values_at(self._batch, name, rows) for rows in self._rows]

    def is_ethernet(self) -> NDArray[np.bool_]:
        """Return whether both sides were captured on Ethernet."""
        # Only Ethernet has a destination MAC (cooked captures have none). A tunnel's frames are
        # told apart by the tunnel columns, so a tag inside is compared as well.
        before, after = (
            ~nulls(BY_NAME["dst_mac"], macs) | has_record(self._batch, "tunnel", rows)
            for macs, rows in zip(self.values("dst_mac"), self._rows, strict=True)
        )
        both: NDArray[np.bool_] = before & after
        return both


def _at(stored: tuple[NDArray[Any], ...], at: Rows) -> tuple[NDArray[Any], ...]:
    return tuple(part[at] for part in stored)


def _differs(
    before: tuple[NDArray[Any], ...], after: tuple[NDArray[Any], ...]
) -> NDArray[np.bool_]:
    different: NDArray[np.bool_] = before[0] != after[0]
    for one, other in zip(before[1:], after[1:], strict=True):
        different = different | (one != other)
    return different


def _known(
    sides: _Sides, name: str, before: tuple[NDArray[Any], ...], after: tuple[NDArray[Any], ...]
) -> NDArray[np.bool_]:
    if name in TUNNEL_FIELDS:
        return np.ones(len(before[0]), np.bool_)
    if name in TAG_FIELDS:
        return sides.is_ethernet()
    column = BY_NAME[name]
    return ~(nulls(column, before) | nulls(column, after))


def _ttl_fell(sides: _Sides) -> NDArray[np.bool_]:
    (before,), (after,) = sides.values("ttl")
    fell: NDArray[np.bool_] = (after >= 0) & (before > after)
    return fell


def _causes(
    name: str,
    causes: NDArray[np.int8],
    ttl_fell: NDArray[np.bool_],
    after: tuple[NDArray[Any], ...],
    at: Rows,
) -> NDArray[np.int8]:
    if name in _NAT_FIELDS:
        return _nat_causes(_NAT_FIELDS[name], causes)
    if name in TUNNEL_FIELDS:
        gone = after[0][at] == -1 if name == "encap" else causes == Cause.DECAPSULATED
        return np.where(gone, Cause.DECAPSULATED, Cause.ENCAPSULATED).astype(np.int8)
    forwarded = ttl_fell | (causes == Cause.FORWARDED)
    if name in ("ttl", "src_mac", "dst_mac"):
        return np.where(forwarded, Cause.FORWARDED, Cause.NONE).astype(np.int8)
    bridged = np.where(causes == Cause.BRIDGED, Cause.BRIDGED, Cause.NONE)
    if name in TAG_FIELDS:
        return np.where(forwarded, Cause.FORWARDED, bridged).astype(np.int8)
    return np.zeros(len(at), np.int8)


def _nat_causes(of_both: dict[Cause, Cause], causes: NDArray[np.int8]) -> NDArray[np.int8]:
    result = np.where(np.isin(causes, _NAT), causes, Cause.NONE).astype(np.int8)
    for both, one in of_both.items():
        result[causes == both] = one
    return result
