"""Translations as packets show them: a record for each that differs in what rules may ask for."""

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.address import NULL_U64, encode_ip
from tracer.core.changes import parent_rows
from tracer.core.enums import Cause
from tracer.core.journeys import FlowPathHop, JourneySet
from tracer.core.rows import Rows, values_at
from tracer.core.schema import StructuredArray

SNATS = (Cause.SNAT, Cause.SNAT_DNAT)
DNATS = (Cause.DNAT, Cause.SNAT_DNAT)
UNDONE = {
    Cause.UN_SNAT: Cause.SNAT, Cause.UN_DNAT: Cause.DNAT, Cause.UN_SNAT_UN_DNAT: Cause.SNAT_DNAT,
}  # fmt: skip
_ENDS = ("src", "dst", "sport", "dport")
_SWAPPED = {"src": "dst", "dst": "src", "sport": "dport", "dport": "sport"}

#: In the direction of the connection's first packet, for replies too. `origin`, `target` are points
#: before and after, `iif`, `oif` those whose device it came in and went out by, -1 unknown.
SEEN_DTYPE = np.dtype(
    [
        *((f"{side}_{end}_{half}", "<u8")
          for side in ("before", "after") for end in ("src", "dst") for half in ("hi", "lo")),
        *((f"{side}_{end}", "<i4") for side in ("before", "after") for end in ("sport", "dport")),
        ("proto", "<i2"),
        ("cause", "i1"),
        ("origin", "<i4"), ("target", "<i4"), ("iif", "<i4"), ("oif", "<i4"),
    ]
)  # fmt: skip
_INGRESS, _EGRESS = 0, 1
PathStep = tuple[int, FlowPathHop, FlowPathHop]  # protocol, the hop before, the hop after


def nat_hops(journey_set: JourneySet) -> Rows:
    """Return the hops before which addresses, ports or ids were translated, either way."""
    causes = (*SNATS, *DNATS, *UNDONE)
    hops = np.flatnonzero(np.isin(journey_set.hops["cause"], causes))
    return hops[parent_rows(journey_set, hops) >= 0]


def seen_at(journey_set: JourneySet, hops: Rows) -> StructuredArray:
    """Return the translation before each of the hops (indices into the set's), SEEN_DTYPE."""
    rows, parents = journey_set.hops["row"][hops], parent_rows(journey_set, hops)
    records = journey_set.hops[hops]
    first = journey_set.journeys["first_hop"][records["journey"]]
    origins = journey_set.hops[first + records["parent"] - 1]
    batch = journey_set.observations
    seen = np.zeros(len(hops), SEEN_DTYPE)
    causes = records["cause"]
    is_undone = np.isin(causes, list(UNDONE))
    for end in _ENDS:
        _put(seen, "before", end, values_at(batch, end, parents), ~is_undone)
        _put(seen, "after", end, values_at(batch, end, rows), ~is_undone)
        _put(seen, "before", _SWAPPED[end], values_at(batch, end, rows), is_undone)
        _put(seen, "after", _SWAPPED[end], values_at(batch, end, parents), is_undone)
    seen["proto"] = journey_set.journeys["proto"][records["journey"]]
    seen["cause"] = _done(causes)
    seen["origin"], seen["target"] = batch.packets["point"][parents], batch.packets["point"][rows]
    came = np.where(origins["direction"] == _INGRESS, seen["origin"], -1)
    went = np.where(records["direction"] == _EGRESS, seen["target"], -1)
    seen["iif"], seen["oif"] = (
        np.where(is_undone, went, came),
        np.where(is_undone, came, went),
    )
    return seen


def path_steps(journey_set: JourneySet) -> tuple[StructuredArray, list[PathStep]]:
    """Return the translations inferred in flow paths, SEEN_DTYPE, and the hops of each."""
    steps = [
        (path.proto, before, after)
        for path in journey_set.flow_paths
        for before, after in pairwise(path.hops)
        if after.cause in (*SNATS, *DNATS, *UNDONE) and before.direction == after.direction
    ]
    seen = np.zeros(len(steps), SEEN_DTYPE)
    points = journey_set.observations.points
    for record, (proto, before, after) in zip(seen, steps, strict=True):
        undone = after.cause in UNDONE
        first, last = (after, before) if undone else (before, after)
        for side, hop in (("before", first), ("after", last)):
            for end in _ENDS:
                _put_one(record, f"{side}_{end}", getattr(hop, _SWAPPED[end] if undone else end))
        record["proto"], record["cause"] = proto, UNDONE.get(after.cause, after.cause)
        record["origin"], record["target"] = before.point, after.point
        came = points[before.point].direction == (_EGRESS if undone else _INGRESS)
        went = points[after.point].direction == (_INGRESS if undone else _EGRESS)
        record["iif"], record["oif"] = first.point if came else -1, last.point if went else -1
    return seen, steps


def _put_one(record: Any, name: str, value: str | int | None) -> None:
    if not name.endswith(("src", "dst")):
        record[name] = -1 if value is None else value
        return
    pair = (NULL_U64, NULL_U64) if value is None else encode_ip(str(value))
    record[f"{name}_hi"], record[f"{name}_lo"] = pair


def distinct(seen: StructuredArray) -> tuple[StructuredArray, NDArray[np.int64]]:
    """Return the records that differ, and the index among them of each."""
    if not len(seen):
        return seen, np.zeros(0, np.int64)
    raw = np.ascontiguousarray(seen).view(f"V{seen.dtype.itemsize}").reshape(-1)
    _, first, codes = np.unique(raw, return_index=True, return_inverse=True)
    return seen[first], codes.reshape(-1).astype(np.int64)


def _put(
    seen: StructuredArray, side: str, end: str, values: tuple[NDArray[Any], ...], where: Any
) -> None:
    names = [f"{side}_{end}"] if len(values) == 1 else [f"{side}_{end}_hi", f"{side}_{end}_lo"]
    for name, part in zip(names, values, strict=True):
        seen[name][where] = part[where]


def _done(causes: NDArray[Any]) -> NDArray[np.int8]:
    # What the reply undoes, else the cause itself.
    table = np.arange(max(Cause) + 1, dtype=np.int8)
    for undone, done in UNDONE.items():
        table[undone] = done
    found: NDArray[np.int8] = table[causes]
    return found
