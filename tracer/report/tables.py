"""Arrow tables of observations and of hops, and their CSV and Parquet files.

Tables come in chunks of rows, so that a file of any size is written in bounded memory. The order of
columns is stable: within a schema number they are added at the end.
"""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import IO, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tracer.core.batch import ObservationBatch
from tracer.core.journeys import JourneySet
from tracer.core.observation import OBSERVATION_FIELDS
from tracer.core.rows import Rows
from tracer.core.values import hop_indices
from tracer.report import arrays
from tracer.report.change_text import ChangeTexts
from tracer.report.columns import observation_columns
from tracer.report.hop_columns import JOURNEY_COLUMNS, STEP_COLUMNS, journey_columns, step_columns
from tracer.report.parquet import writer as parquet

CHUNK_ROWS = 1 << 16
# Columns whose least and greatest value a reader may skip row groups by.
_WITH_STATISTICS = ["journey", "flow", "time_ns", "first_ns", "last_ns"]
# Numbers of which most differ: their differences take less time, and less room, than a dictionary.
_DELTAS = (
    "journey", "time_ns", "delta_ns", "reply", "request", "n", "frame", "tcp_tsval", "tcp_tsecr",
    "icmp_seq",
)  # fmt: skip
# Rows of the first table from which on others may follow: then it pays to have the code for many
# compiled, or loaded.
_MANY_ROWS = CHUNK_ROWS * 3 // 4
# `proto` is the journey's, as a word; `time_ns` (clock applied) and `direction` are the hop's.
OWN_COLUMNS = tuple(
    name for name in OBSERVATION_FIELDS if name not in (*JOURNEY_COLUMNS, *STEP_COLUMNS)
)
HOP_COLUMNS = (*JOURNEY_COLUMNS, *STEP_COLUMNS, *OWN_COLUMNS)


def observation_tables(batch: ObservationBatch) -> Iterator[pa.Table]:
    """Yield tables of `OBSERVATION_FIELDS`, a row each observation, in the batch's order."""
    for start in range(0, max(len(batch), 1), CHUNK_ROWS):
        rows = np.arange(start, min(start + CHUNK_ROWS, len(batch)))
        yield pa.table(observation_columns(batch, OBSERVATION_FIELDS, rows))


def hop_tables(
    journey_set: JourneySet,
    chosen: NDArray[np.integer[Any]] | None = None,
    texts: ChangeTexts | None = None,
) -> Iterator[pa.Table]:
    """Yield tables of `HOP_COLUMNS`, a row each hop of the chosen journeys (all by default).

    `texts` are those put together before, for journeys that come in parts.
    """
    texts = texts or ChangeTexts()
    numbers = np.arange(len(journey_set.journeys)) if chosen is None else np.asarray(chosen)
    ends = np.cumsum(journey_set.journeys["n_hops"][numbers])
    for part in np.split(numbers, np.flatnonzero(np.diff(ends // CHUNK_ROWS)) + 1):
        yield hop_table(journey_set, part, texts)


def hop_table(journey_set: JourneySet, numbers: Rows, texts: ChangeTexts) -> pa.Table:
    """Return a table of `HOP_COLUMNS` for the hops of the given journeys (indices)."""
    records = journey_set.journeys.take(numbers)
    hops = hop_indices(records)
    journeys = arrays.of(np.repeat(np.arange(len(numbers)), records["n_hops"]))
    of_journeys = journey_columns(journey_set, numbers)
    columns = {name: arrays.taken(column, journeys) for name, column in of_journeys.items()}
    columns |= step_columns(journey_set, hops, texts)
    batch, rows = journey_set.observations, journey_set.hops["row"][hops]
    columns |= observation_columns(batch, OWN_COLUMNS, rows)
    return pa.table({name: columns[name] for name in HOP_COLUMNS})


def write_csv(tables: Iterable[pa.Table], file: IO[bytes]) -> None:
    """Write tables of one schema as CSV with a header line; nulls are empty."""
    import pyarrow.csv

    header = True
    for table in tables:
        options = pyarrow.csv.WriteOptions(include_header=header, quoting_style="needed")
        pyarrow.csv.write_csv(_decoded(table), file, options)
        header = False


def write_parquet(tables: Iterable[pa.Table], file: IO[bytes]) -> None:
    """Write tables of one schema as one Parquet file, a row group each."""
    coming = iter(tables)
    first = next(coming, None)
    if first is None:
        return
    pays = first.num_rows >= _MANY_ROWS and parquet.is_written(first.schema)
    whole = chain([first], coming)
    del first  # not held while others are written
    if pays:
        parquet.write(whole, file, _DELTAS, _WITH_STATISTICS)
        return
    # With it come the clients of three clouds, which take 100 ms to load.
    import pyarrow.parquet

    writer = None
    for table in whole:
        if writer is None:
            writer = pyarrow.parquet.ParquetWriter(
                file, table.schema, compression="zstd", write_statistics=_WITH_STATISTICS
            )
        writer.write_table(table)
    if writer is not None:
        writer.close()


def _decoded(table: pa.Table) -> pa.Table:
    # Arrow's CSV writer knows no dictionaries.
    fields = [
        pa.field(field.name, pa.string() if pa.types.is_dictionary(field.type) else field.type)
        for field in table.schema
    ]
    return table.cast(pa.schema(fields))
