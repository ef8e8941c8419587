"""Journeys and observations as lines of JSON, built column by column."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tracer.core.batch import ObservationBatch
from tracer.core.journeys import JourneySet
from tracer.core.observation import OBSERVATION_FIELDS
from tracer.core.rows import Rows
from tracer.core.values import hop_indices
from tracer.report import arrays
from tracer.report.change_text import ChangeTexts
from tracer.report.columns import observation_columns
from tracer.report.hop_columns import journey_columns, step_columns
from tracer.report.json_text import joined, json_objects, json_values, line_bytes
from tracer.report.keys import HOP_KEYS, JOURNEY_KEYS, SCHEMA

CHUNK_ROWS = 1 << 15


def journey_lines(
    journey_set: JourneySet, chosen: NDArray[np.integer[Any]] | None = None
) -> Iterator[bytes]:
    """Yield the chosen journeys (all by default) as UTF-8 lines, many at a time, in that order."""
    numbers = np.arange(len(journey_set.journeys)) if chosen is None else np.asarray(chosen)
    ends = np.cumsum(journey_set.journeys["n_hops"][numbers].astype(np.int64))
    texts = ChangeTexts()
    for part in np.split(numbers, np.flatnonzero(np.diff(ends // CHUNK_ROWS)) + 1):
        if len(part):
            yield line_bytes(_journeys(journey_set, part, texts))


def observation_lines(batch: ObservationBatch) -> Iterator[bytes]:
    """Yield every observation as UTF-8 lines, many at a time; the keys are the public columns."""
    for start in range(0, len(batch), CHUNK_ROWS):
        rows = np.arange(start, min(start + CHUNK_ROWS, len(batch)))
        columns = observation_columns(batch, OBSERVATION_FIELDS, rows)
        yield line_bytes(joined(json_objects(columns), "\n"))


def _journeys(journey_set: JourneySet, numbers: Rows, texts: ChangeTexts) -> pa.Array:
    records = journey_set.journeys[numbers]
    hops = _hops(journey_set, hop_indices(records), texts)
    offsets = np.concatenate(([0], np.cumsum(records["n_hops"]))).astype(np.int32)
    lists = pc.binary_join(pa.ListArray.from_arrays(arrays.of(offsets), hops), arrays.text(","))
    columns = journey_columns(journey_set, numbers)
    parts: list[pa.Array | str] = [f'{{"schema":{SCHEMA}']
    for name in JOURNEY_KEYS:
        parts += [f',"{name}":', json_values(columns[name])]
    return joined(*parts, ',"hops":[', lists, "]}\n")


def _hops(journey_set: JourneySet, hops: Rows, texts: ChangeTexts) -> pa.Array:
    steps = step_columns(journey_set, hops, texts)
    batch, rows = journey_set.observations, journey_set.hops["row"][hops]
    own = [name for name in HOP_KEYS.values() if name not in steps]
    values = steps | observation_columns(batch, own, rows)
    columns = {key: values[name] for key, name in HOP_KEYS.items()}
    changes = steps["changes"].dictionary_decode()  # JSON, not to be quoted
    return json_objects(columns | {"changes": changes, "join": _joins(steps)})


def _joins(steps: dict[str, pa.Array]) -> pa.Array:
    keys = ("evidence", "candidates", "confidence")
    objects = json_objects({key: steps[key] for key in keys})
    return pc.if_else(pc.is_valid(steps["parent"]), objects, arrays.text("null"))
