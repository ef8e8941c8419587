"""Columns of a hop that are not its observation's: its journey, its place, its step."""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tracer.core.enums import Cause, Evidence, Kind, Outcome
from tracer.core.journeys import NO_TIME, JourneySet, confidences
from tracer.core.point import Direction
from tracer.core.protocols import protocol_name
from tracer.core.rows import Rows
from tracer.report.change_text import ChangeTexts
from tracer.report.columns import distinct_values, integers, labels, point_column, taken
from tracer.report.roles import point_label, role_of

JOURNEY_COLUMNS = (
    "journey", "flow", "proto", "kind", "first_ns", "last_ns", "outcome", "outcome_at", "reason",
    "reply", "request", "retransmission_of", "quotes", "ambiguous", "duplicates",
)  # fmt: skip
STEP_COLUMNS = (
    "n", "parent", "role", "direction", "time_ns", "delta_ns", "cause", "changes",
    "evidence", "candidates", "confidence",
)  # fmt: skip


def journey_columns(journey_set: JourneySet, numbers: Rows) -> dict[str, pa.Array]:
    """Return `JOURNEY_COLUMNS` of the journeys at the given indices, by the numbers shown."""
    records = journey_set.journeys.take(numbers)
    references = ("reply", "request", "retransmission_of", "quotes")
    columns = {name: integers(journey_set.shown(name, numbers), -1) for name in references}
    points = journey_set.observations.points
    return columns | {
        "journey": integers(journey_set.shown("journey", numbers)),
        "flow": integers(records["flow"], -1, add=1),
        "proto": _protocols(records["proto"]),
        "kind": labels(Kind, records["kind"]),
        "first_ns": integers(records["first_ns"]),
        "last_ns": integers(records["last_ns"]),
        "outcome": labels(Outcome, records["outcome"]),
        "outcome_at": point_column(points, records["outcome_point"], point_label),
        "reason": taken(journey_set.reasons, records["reason"]),
        "ambiguous": pa.array(records["ambiguous"] > 0),
        "duplicates": integers(records["duplicates"]),
    }


def step_columns(journey_set: JourneySet, hops: Rows, texts: ChangeTexts) -> dict[str, pa.Array]:
    """Return `STEP_COLUMNS` of the given hops; those of a step are null at a first hop.

    `time_ns` is after the clock's offset was applied; `changes` is a JSON array as text.
    """
    records = journey_set.hops.take(hops)
    points = journey_set.observations.points
    codes = journey_set.observations.packets["point"][records["row"]]
    is_step = records["parent"] > 0
    return {
        "n": integers(records["n"]),
        "parent": integers(records["parent"], 0),
        "role": point_column(points, codes, role_of),
        "direction": _directions(records["direction"]),
        "time_ns": integers(records["time_ns"]),
        "delta_ns": integers(records["delta_ns"], NO_TIME),
        "cause": labels(Cause, np.where(records["cause"] > 0, records["cause"], -1)),
        "changes": texts.of(journey_set, hops),
        "evidence": labels(Evidence, np.where(is_step, records["evidence"], -1)),
        "candidates": integers(np.where(is_step, records["candidates"], -1), -1),
        "confidence": pa.array(confidences(records), mask=np.isnan(records["confidence"])),
    }


def _protocols(numbers: NDArray[Any]) -> pa.Array:
    codes, distinct = distinct_values((numbers,))
    return taken([protocol_name(number) for (number,) in distinct], codes)


def _directions(values: NDArray[Any]) -> pa.Array:
    known = [Direction.INGRESS.label, Direction.EGRESS.label]
    return taken(known, np.where((values < 0) | (values > 1), -1, values))
