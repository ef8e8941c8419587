"""The summary of a run: what was seen, joined, lost, and how far to trust the clocks."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import fields
from typing import Any

import numpy as np

from tracer.core.batch import ObservationBatch
from tracer.core.enums import Decode, Outcome
from tracer.core.exchanges import exchange_roots
from tracer.core.journeys import (
    ClockEstimate,
    FlowPath,
    FlowPathHop,
    FlowPathJoin,
    JourneySet,
    known_time,
)
from tracer.core.protocols import protocol_name
from tracer.core.warnings import InputWarning, merge
from tracer.report.roles import point_label

SCHEMA = 1
# Columns of a flow path's hop that are written as they are.
FLOW_PATH_VALUES = (
    "ttl", "src", "dst", "sport", "dport", "icmp_id", "first_seq", "last_seq",
    "src_mac", "dst_mac", "vlan",
)  # fmt: skip


def summary_of(journey_set: JourneySet, shown: int | None = None) -> dict[str, Any]:
    """Return the summary as JSON values; `shown` journeys passed the filter (all by default)."""
    batch, journeys = journey_set.observations, journey_set.journeys
    decode = decode_counts(batch)
    return {
        "schema": SCHEMA,
        "observations": len(batch),
        "journeys": len(journeys),
        "unjoined": int(np.count_nonzero(journeys["n_hops"] == 1)),
        "ambiguous": int(np.count_nonzero(journeys["ambiguous"] > 0)),
        "undecoded": sum(decode.values()),
        "clocks": [_clock(clock) for clock in journey_set.clocks],
        "lost": dict(journey_set.lost),
        "warnings": [warning.as_dict() for warning in merge(journey_set.warnings)],
        "shown": len(journeys) if shown is None else shown,
        "hops": len(journey_set.hops),
        "duplicates": int(journeys["duplicates"].sum()),
        "exchanges": int(np.count_nonzero(np.bincount(exchange_roots(journey_set)) > 1)),
        "flows": len(journey_set.flows),
        "outcomes": {
            Outcome(value).label: int(count)
            for value, count in zip(
                *np.unique(journeys["outcome"], return_counts=True), strict=True
            )
            if value in set(Outcome)
        },
        "undecoded_by": decode,
        "flow_paths": [_flow_path(batch, path) for path in journey_set.flow_paths],
    }


def decode_counts(batch: ObservationBatch) -> dict[str, int]:
    """Return how many observations were not decoded to the end, by `core.enums.Decode` word."""
    said = batch.packets["decode"]
    counts = np.bincount(said[said > 0], minlength=max(Decode) + 1)
    return {word.label: int(counts[word]) for word in Decode if word and counts[word]}


class ObservationCounts:
    """Counts observations that pass by in batches, where nothing is joined."""

    def __init__(self) -> None:
        self._observations = 0
        self._undecoded: Counter[str] = Counter()

    def counted(self, batches: Iterable[ObservationBatch]) -> Iterator[ObservationBatch]:
        """Yield the batches, each counted."""
        for batch in batches:
            self._observations += len(batch)
            self._undecoded.update(decode_counts(batch))
            yield batch

    def summary(self, warnings: Iterable[InputWarning]) -> dict[str, Any]:
        """Return the summary as JSON values: what there is to say of observations alone."""
        return {
            "schema": SCHEMA,
            "observations": self._observations,
            "undecoded": self._undecoded.total(),
            "warnings": [warning.as_dict() for warning in merge(warnings)],
            "undecoded_by": dict(self._undecoded),
        }


def _clock(clock: ClockEstimate) -> dict[str, Any]:
    return {
        "host": clock.host or clock.clock,
        "offset_ns": clock.offset_ns,
        "uncertainty_ns": clock.uncertainty_ns,
        "clock": clock.clock,
        "drift_ppm": clock.drift_ppm,
        "samples": clock.samples,
        "evidence": clock.evidence,
    }


def _flow_path(batch: ObservationBatch, path: FlowPath) -> dict[str, Any]:
    return {
        "flow": path.flow,
        "proto": protocol_name(path.proto),
        "period_ns": path.period_ns,
        "inferences": list(path.inferences),
        "hops": [_flow_path_hop(batch, hop) for hop in path.hops],
        "joins": [_flow_path_join(join) for join in path.joins],
        "ambiguities": list(path.ambiguities),
    }


def _flow_path_hop(batch: ObservationBatch, hop: FlowPathHop) -> dict[str, Any]:
    return {
        "at": point_label(batch.points[hop.point]),
        "capture": batch.captures[hop.capture] if hop.capture >= 0 else None,
        "direction": hop.direction,
        "first_ns": known_time(hop.first_ns),
        "packets": len(hop.rows),
        "join": hop.join,
        "reason": hop.reason,
        "last_ns": known_time(hop.last_ns),
        "cause": hop.cause.label if hop.cause else None,
        **{name: getattr(hop, name) for name in FLOW_PATH_VALUES},
        "placed": len(hop.placed),
    }


def _flow_path_join(join: FlowPathJoin) -> dict[str, Any]:
    return {field.name: getattr(join, field.name) for field in fields(join)}
