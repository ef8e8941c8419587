"""Columns of a hop that are not its observation's: its journey, its place, its step."""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tracer.core.enums import Cause, Evidence, Kind, Outcome
from tracer.core.journeys import HOP_DTYPE, NO_TIME, UNTIMED, JourneySet, confidences
from tracer.core.point import Direction
from tracer.core.protocols import protocol_name
from tracer.core.rows import Rows
from tracer.core.spread import Layout, Spread
from tracer.report import arrays
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
_NULLS = {"parent": 0, "delta_ns": NO_TIME}
_HOP = Layout(HOP_DTYPE, lambda field: _NULLS.get(field, -1))
_HOP_FIELDS = (
    "n", "row", "parent", "time_ns", "delta_ns", "direction", "cause", "evidence", "candidates",
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
        "first_ns": integers(records["first_ns"], UNTIMED),
        "last_ns": integers(records["last_ns"], UNTIMED),
        "outcome": labels(Outcome, records["outcome"]),
        "outcome_at": point_column(points, records["outcome_point"], point_label),
        "reason": taken(journey_set.reasons, records["reason"]),
        "ambiguous": arrays.of(records["ambiguous"] > 0),
        "duplicates": integers(records["duplicates"]),
    }


def step_columns(journey_set: JourneySet, hops: Rows, texts: ChangeTexts) -> dict[str, pa.Array]:
    """Return `STEP_COLUMNS` of the given hops; those of a step are null at a first hop.

    `time_ns` is after the clock's offset was applied; `changes` is a JSON array as text.
    """
    steps = Spread(_HOP, journey_set.hops, hops, _HOP_FIELDS)
    points = journey_set.observations.points
    codes = journey_set.observations.packets["point"][steps.of("row")]
    is_step = steps.of("parent") > 0
    numbers = {
        name: arrays.numbers(steps.of(name), steps.valid(name), steps.missing(name))
        for name in ("n", "parent", "time_ns", "delta_ns")
    }
    return numbers | {
        "role": point_column(points, codes, role_of),
        "direction": _directions(steps.of("direction")),
        "cause": labels(Cause, np.where(steps.of("cause") > 0, steps.of("cause"), -1)),
        "changes": texts.of(journey_set, hops),
        "evidence": labels(Evidence, np.where(is_step, steps.of("evidence"), -1)),
        "candidates": integers(np.where(is_step, steps.of("candidates"), -1), -1),
        "confidence": _confidences(journey_set.hops["confidence"][hops]),
    }


def _confidences(stored: NDArray[np.float32]) -> pa.Array:
    shown = confidences(stored)
    return arrays.of(shown, np.isnan(shown))


def _protocols(numbers: NDArray[Any]) -> pa.Array:
    codes, distinct = distinct_values((numbers,))
    return taken([protocol_name(number) for (number,) in distinct], codes)


def _directions(values: NDArray[Any]) -> pa.Array:
    known = [Direction.INGRESS.label, Direction.EGRESS.label]
    return taken(known, np.where((values < 0) | (values > 1), -1, values))
