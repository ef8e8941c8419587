"""DataFrames of observations, journeys, hops and changes, built column by column."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from tracer.api import columns, series
from tracer.core.batch import ObservationBatch
from tracer.core.changes import FieldChanges, changes_at
from tracer.core.enums import Cause, Evidence, Kind, Label, Outcome
from tracer.core.exchanges import exchange_roots
from tracer.core.journeys import JourneySet, confidences
from tracer.core.nat_rules.matching import rules_at
from tracer.core.nat_rules.seen import DNATS, SNATS, UNDONE
from tracer.core.observation import OBSERVATION_FIELDS, PLACE_FIELDS
from tracer.core.point import Direction
from tracer.core.protocols import protocol_name
from tracer.core.rows import Rows, values_at
from tracer.core.schema import BY_NAME
from tracer.core.values import hop_indices
from tracer.core.ways import ways_of
from tracer.report.change_text import ChangeTexts
from tracer.report.columns import (
    distinct_values,
    labels,
    observation_column,
    point_column,
    stored_column,
    taken,
)
from tracer.report.hop_columns import journey_columns
from tracer.report.roles import point_label, role_of

_REFERENCES = ("reply", "request", "retransmission_of", "quotes")
_WORDS = ("proto", "kind", "outcome", "outcome_at", "reason")


def observations_frame(batch: ObservationBatch, rows: Rows) -> pd.DataFrame:
    """Return `columns.OBSERVATIONS` of the given rows, indexed by their number."""
    arrays = _observation_arrays(batch, rows, OBSERVATION_FIELDS)
    arrays["time"] = series.times(batch.packets["time_ns"][rows])
    arrays["point"] = points(batch, rows)
    found = series.frame(columns.OBSERVATIONS, arrays)
    found.index = pd.Index(rows, name="observation")
    return found


def journeys_frame(journey_set: JourneySet, numbers: Rows) -> pd.DataFrame:
    """Return `columns.JOURNEYS` of the journeys at the given indices."""
    records = journey_set.journeys[numbers]
    first = journey_set.first_journey
    shown = journey_columns(journey_set, numbers)
    arrays: dict[str, Any] = {name: series.categories(shown[name]) for name in _WORDS}
    arrays |= {name: _numbers(records[name], first) for name in _REFERENCES}
    span = records["last_ns"] - records["first_ns"]
    unknown = (records["first_ns"] == -1) | (records["last_ns"] == -1)
    arrays |= {
        "journey": series.integers(numbers + first, "Int64"),
        "exchange": series.integers(exchange_roots(journey_set)[numbers] + first, "Int64"),
        "flow": _numbers(records["flow"], 1),
        "way": words(("request", "reply"), ways_of(journey_set)[numbers]),
        "first_time": series.times(records["first_ns"]),
        "last_time": series.times(records["last_ns"]),
        "transit": series.deltas(np.where(unknown, series.NAT, span)),
        "hops": series.integers(records["n_hops"], "Int64"),
        "ambiguous": records["ambiguous"] > 0,
        "duplicates": series.integers(records["duplicates"], "Int64"),
    }
    return series.frame(columns.JOURNEYS, arrays)


def hops_frame(journey_set: JourneySet, numbers: Rows) -> pd.DataFrame:
    """Return `columns.HOPS` of the journeys at the given indices, a row each hop."""
    hops = hop_indices(journey_set.journeys[numbers])
    rows = journey_set.hops["row"][hops]
    steps = {column.name for column in columns.HOPS[: columns.HOPS.index(columns.OBSERVATIONS[1])]}
    names = [name for name in OBSERVATION_FIELDS if name not in steps]
    arrays = _observation_arrays(journey_set.observations, rows, names)
    arrays |= _step_arrays(journey_set, hops, rows)
    return series.frame(columns.HOPS, arrays)


def changes_frame(journey_set: JourneySet, numbers: Rows) -> pd.DataFrame:
    """Return `columns.CHANGES` of the journeys at the given indices, a row each changed field."""
    hops = hop_indices(journey_set.journeys[numbers])
    found = changes_at(journey_set, hops)
    at = np.concatenate([np.zeros(0, np.int64), *(each.hops for each in found)])
    fields = np.repeat(np.arange(len(found)), [len(each.hops) for each in found])
    order = np.lexsort((fields, at))
    rank = hops[at[order]]
    records = journey_set.hops[rank]
    points_ = journey_set.observations.points
    codes = journey_set.observations.packets["point"][records["row"]]
    causes = np.concatenate([np.zeros(0, np.int8), *(each.cause for each in found)])[order]
    arrays = {
        "journey": series.integers(records["journey"] + journey_set.first_journey, "Int64"),
        "n": series.integers(records["n"], "Int64"),
        "flow": _numbers(journey_set.journeys["flow"][records["journey"]], 1),
        "point": points(journey_set.observations, records["row"]),
        "netns": series.categories(point_column(points_, codes, lambda point: point.netns)),
        "device": series.categories(point_column(points_, codes, lambda point: point.device)),
        "time": series.times(records["time_ns"]),
        "field": words([each.field for each in found], fields[order]),
        "before": _sides(found, "before", order),
        "after": _sides(found, "after", order),
        "cause": labelled(Cause, causes, none=Cause.NONE),
        "evidence": labelled(Evidence, records["evidence"]),
        "rule": _rules(journey_set, rank, causes),
    }
    return series.frame(columns.CHANGES, arrays)


def _rules(journey_set: JourneySet, hops: Rows, causes: NDArray[np.int8]) -> Any:
    # Only of what NAT changed: TTL and MACs change in the same step.
    translated, codes, found = rules_at(journey_set)
    texts = [" or ".join(journey_set.nat_rules[rule].words for rule in rules) for rules in found]
    of_hop = np.full(len(journey_set.hops), -1, np.int64)
    of_hop[translated] = codes
    of_hop[of_hop >= 0] = np.where([not texts[code] for code in codes], -1, codes)
    return words(texts, np.where(np.isin(causes, (*SNATS, *DNATS, *UNDONE)), of_hop[hops], -1))


def points(batch: ObservationBatch, rows: Rows) -> Any:
    """Return the full names of the rows' observation points, as categories."""
    return series.categories(point_column(batch.points, batch.packets["point"][rows], point_label))


def protocols(numbers: NDArray[Any]) -> Any:
    """Return IP protocol numbers by name, as categories."""
    codes, distinct = distinct_values((numbers,))
    return series.categories(taken([protocol_name(number) for (number,) in distinct], codes))


def words(texts: Sequence[str | None], codes: NDArray[Any]) -> Any:
    """Return texts by index as categories, none for -1."""
    return series.categories(taken(texts, codes))


def labelled(vocabulary: type[Label], values: NDArray[Any], none: int = -1) -> Any:
    """Return enum numbers as their words, as categories; `none` and what is no member are null."""
    return series.categories(labels(vocabulary, np.where(values == none, -1, values)))


def directions(values: NDArray[Any]) -> Any:
    """Return `core.point.Direction` numbers as words, as categories."""
    return words([Direction.INGRESS.label, Direction.EGRESS.label], values)


def _observation_arrays(
    batch: ObservationBatch, rows: Rows, names: Sequence[str]
) -> dict[str, Any]:
    arrays: dict[str, Any] = {}
    for name in names:
        if name in (*PLACE_FIELDS, "capture"):
            arrays[name] = series.categories(observation_column(batch, name, rows))
        elif name == "proto":
            arrays[name] = protocols(batch.packets["proto"][rows])
        elif name != "time_ns":
            arrays[name] = _stored(batch, name, rows)
    return arrays


def _stored(batch: ObservationBatch, name: str, rows: Rows) -> Any:
    column = BY_NAME[name]
    dtype = columns.observation_dtype(column)
    if column.group in batch.sections and not len(batch.sections[column.group]):
        return series.absent(dtype, len(rows))
    return series.stored(column, values_at(batch, name, rows), dtype)


def _step_arrays(journey_set: JourneySet, hops: Rows, rows: Rows) -> dict[str, Any]:
    records = journey_set.hops[hops]
    journeys = journey_set.journeys[records["journey"]]
    batch = journey_set.observations
    is_step = records["parent"] > 0
    candidates = np.where(is_step, records["candidates"], -1)
    return {
        "kind": labelled(Kind, journeys["kind"]),
        "outcome": labelled(Outcome, journeys["outcome"]),
        "proto": protocols(journeys["proto"]),
        "role": series.categories(
            point_column(batch.points, batch.packets["point"][rows], role_of)
        ),
        "direction": directions(records["direction"]),
        "cause": labelled(Cause, records["cause"], none=Cause.NONE),
        "evidence": labelled(Evidence, np.where(is_step, records["evidence"], -1)),
        "journey": series.integers(records["journey"] + journey_set.first_journey, "Int64"),
        "n": series.integers(records["n"], "Int64"),
        "parent": series.integers(records["parent"], "Int64", ~is_step),
        "flow": _numbers(journeys["flow"], 1),
        "point": points(batch, rows),
        "time": series.times(records["time_ns"]),
        "delta": series.deltas(records["delta_ns"]),
        "changes": series.chunked_text(partial(ChangeTexts().of, journey_set), hops),
        "candidates": series.integers(candidates, "Int64", candidates < 0),
        "confidence": confidences(records["confidence"]),
        "observation": rows,
    }


def _numbers(values: NDArray[Any], first: int) -> Any:
    return series.integers(values.astype(np.int64) + first, "Int64", values < 0)


def _sides(found: list[FieldChanges], side: str, order: Rows) -> Any:
    parts = [
        stored_column(BY_NAME[each.field], getattr(each, side)).cast(pa.large_string())
        for each in found
    ]
    return series.texts(pa.chunked_array(parts, pa.large_string()).take(pa.array(order)))
