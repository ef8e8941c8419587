"""Per flow and segment of its path: loss, delay, reordering, what was sent again for it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.enums import Outcome
from tracer.core.journeys import NO_TIME, JourneySet
from tracer.core.mixing import mixed
from tracer.core.schema import StructuredArray
from tracer.correlate.hashing import Codes, factorise

SEGMENT_DTYPE = np.dtype(
    [
        ("flow", "<i4"),  # index into the set's flows
        ("from_point", "<i4"),  # index into the batch's points
        ("to_point", "<i4"),
        ("packets", "<i8"),  # seen at both ends
        ("lost", "<i8"),  # seen at the first end and vanished there
        ("resent", "<i8"),  # of the lost: sent again by TCP
        ("reordered", "<i8"),  # overtaken by a packet that left later
        ("p50_ns", "<i8"),  # delay between the ends; NO_TIME where clocks cannot say
        ("p90_ns", "<i8"),
        ("p99_ns", "<i8"),
        ("max_ns", "<i8"),
    ]
)  # sorted by flow, then by when the flow first crossed the segment
PERCENTILES = (("p50_ns", 0.50), ("p90_ns", 0.90), ("p99_ns", 0.99), ("max_ns", 1.0))


@dataclass(slots=True)
class _Steps:
    flow: Codes
    start: Codes
    stop: Codes
    source: Codes  # who sent, as seen at the first end: tells the directions apart
    left_ns: Codes
    delta_ns: Codes


def segment_statistics(journey_set: JourneySet) -> StructuredArray:
    """Return a record of SEGMENT_DTYPE for each flow and pair of neighbouring points."""
    steps = _steps(journey_set)
    key = np.full(len(steps.flow), 7, np.uint64)
    for part in (steps.flow, steps.start, steps.stop):
        key = mixed(key, part)
    codes, where = factorise(key)
    table = np.zeros(len(where), SEGMENT_DTYPE)
    table["flow"], table["from_point"] = steps.flow[where], steps.start[where]
    table["to_point"] = steps.stop[where]
    table["packets"] = np.bincount(codes, minlength=len(where))
    _delays(table, codes, steps)
    _losses(journey_set, table, steps.source[where])
    first_ns = np.full(len(where), np.iinfo(np.int64).max)
    np.minimum.at(first_ns, codes, steps.left_ns)
    return table[np.lexsort((first_ns, table["flow"]))]


def _steps(journey_set: JourneySet) -> _Steps:
    hops, journeys = journey_set.hops, journey_set.journeys
    point = journey_set.observations.packets["point"].astype(np.int64)
    later = hops[hops["parent"] > 0]
    before = hops[journeys["first_hop"][later["journey"]] + later["parent"] - 1]
    start, stop = point[before["row"]], point[later["row"]]
    moved = (start != stop) & (journeys["flow"][later["journey"]] >= 0)
    later, before = later[moved], before[moved]
    return _Steps(
        journeys["flow"][later["journey"]].astype(np.int64), start[moved], stop[moved],
        _sources(journey_set, before["row"]), before["time_ns"], later["delta_ns"],
    )  # fmt: skip


def _sources(journey_set: JourneySet, rows: Codes) -> Codes:
    packets = journey_set.observations.packets
    base = mixed(np.full(len(rows), 9, np.uint64), packets["src_lo"][rows])
    return mixed(base, packets["sport"][rows]).view(np.int64)


def _delays(table: StructuredArray, codes: Codes, steps: _Steps) -> None:
    known = np.flatnonzero(steps.delta_ns != NO_TIME)
    for name, _ in PERCENTILES:
        table[name] = NO_TIME
    order = known[np.lexsort((steps.delta_ns[known], codes[known]))]
    begins = np.searchsorted(codes[order], np.arange(len(table)))
    sizes = np.searchsorted(codes[order], np.arange(len(table)), side="right") - begins
    there = np.flatnonzero(sizes)
    for name, share in PERCENTILES:
        # Nearest rank: the smallest delay that at least this share of packets did not exceed.
        rank = np.ceil(share * sizes[there]).astype(np.int64) - 1
        table[name][there] = steps.delta_ns[order[begins[there] + np.maximum(rank, 0)]]
    order = known[np.lexsort((steps.left_ns[known], codes[known]))]
    table["reordered"] = _overtaken(codes[order], (steps.left_ns + steps.delta_ns)[order], table)


def _overtaken(codes: Codes, arrived_ns: Codes, table: StructuredArray) -> Codes:
    if not len(codes):
        return np.zeros(len(table), np.int64)
    # Shifting each segment's times above the former's makes one running maximum serve all.
    span = np.int64(arrived_ns.max() - arrived_ns.min() + 1)
    rank = np.cumsum(np.diff(codes, prepend=codes[:1]) != 0)
    level = (arrived_ns - arrived_ns.min()).astype(np.float64) + rank * np.float64(span)
    late = level < np.maximum.accumulate(level)
    return np.bincount(codes[late], minlength=len(table))


def _losses(journey_set: JourneySet, table: StructuredArray, source: Codes) -> None:
    # A packet that vanished after a point is lost on the segment its flow mostly takes from there.
    journeys = journey_set.journeys
    vanished = np.flatnonzero(
        np.isin(journeys["outcome"], (Outcome.VANISHED, Outcome.DROPPED)) & (journeys["flow"] >= 0)
    )
    again = np.zeros(len(journeys), np.bool_)
    again[journeys["retransmission_of"][journeys["retransmission_of"] >= 0]] = True
    usual: dict[tuple[int, int, int], int] = {}
    for at in np.argsort(table["packets"], kind="stable").tolist():
        usual[int(table["flow"][at]), int(table["from_point"][at]), int(source[at])] = at
    ends: list[Any] = [journeys[name][vanished].tolist() for name in ("flow", "outcome_point")]
    last = journeys["first_hop"][vanished] + journeys["n_hops"][vanished] - 1
    ends.append(_sources(journey_set, journey_set.hops["row"][last]).tolist())
    at_segment = np.array([usual.get(end, -1) for end in zip(*ends, strict=True)], np.int64)
    known: NDArray[np.bool_] = at_segment >= 0
    np.add.at(table["lost"], at_segment[known], 1)
    np.add.at(table["resent"], at_segment[known], again[vanished[known]])
