"""Tables: every row and column arrives in CSV and Parquet as it is in the observations."""

import csv
import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from made import batch_of, floating_ip, floating_ip_rows, journey_set_of

from tracer.core.observation import OBSERVATION_FIELDS
from tracer.core.values import observations_of
from tracer.report import tables


def as_csv(parts: object) -> list[dict[str, str]]:
    file = io.BytesIO()
    tables.write_csv(parts, file)  # type: ignore[arg-type]
    return list(csv.DictReader(io.StringIO(file.getvalue().decode())))


def as_parquet(parts: object) -> pa.Table:
    file = io.BytesIO()
    tables.write_parquet(parts, file)  # type: ignore[arg-type]
    return pyarrow.parquet.read_table(io.BytesIO(file.getvalue()))


def shown(value: object) -> str:
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


@pytest.mark.parametrize("rows_at_once", [5, 1000])
def test_observations_as_csv(monkeypatch: pytest.MonkeyPatch, rows_at_once: int) -> None:
    monkeypatch.setattr(tables, "CHUNK_ROWS", rows_at_once)
    batch = batch_of([*floating_ip_rows(), {}])
    rows = as_csv(tables.observation_tables(batch))
    seen = observations_of(batch, np.arange(len(batch)))
    assert list(rows[0]) == list(OBSERVATION_FIELDS)
    for row, observation in zip(rows, seen, strict=True):
        assert row == {name: shown(getattr(observation, name)) for name in OBSERVATION_FIELDS}


@pytest.mark.parametrize("rows_at_once", [5, 1000])
def test_observations_as_parquet(monkeypatch: pytest.MonkeyPatch, rows_at_once: int) -> None:
    monkeypatch.setattr(tables, "CHUNK_ROWS", rows_at_once)
    batch = batch_of([*floating_ip_rows(), {}])
    rows = as_parquet(tables.observation_tables(batch)).to_pylist()
    seen = observations_of(batch, np.arange(len(batch)))
    assert rows == [{n: getattr(each, n) for n in OBSERVATION_FIELDS} for each in seen]


def test_a_row_per_hop() -> None:
    rows = as_parquet(tables.hop_tables(floating_ip())).to_pylist()
    assert [(row["journey"], row["n"]) for row in rows] == [
        (journey, n) for journey in (1, 2) for n in range(1, 7)
    ]
    assert [row["role"] for row in rows[:6]] == ["vm", "qr", "rfp", "fpr", "fg", "nic"]
    assert rows[2]["changes"].startswith('[{"field":"ttl","from":64,"to":63,')
    assert rows[6]["delta_ns"] is None


def test_chosen_journeys_only() -> None:
    rows = as_csv(tables.hop_tables(floating_ip(), np.array([1])))
    assert {row["journey"] for row in rows} == {"2"}
    assert len(rows) == 6


def test_columns_keep_their_places() -> None:
    columns = next(tables.hop_tables(floating_ip())).column_names
    assert tuple(columns) == tables.HOP_COLUMNS
    assert columns[:9] == ["journey", "flow", "proto", "kind", "first_ns", "last_ns", "outcome",
                           "outcome_at", "reason"]  # fmt: skip


def test_nothing_still_has_its_columns() -> None:
    empty = batch_of([])
    assert as_parquet(tables.observation_tables(empty)).column_names == list(OBSERVATION_FIELDS)
    assert as_parquet(tables.hop_tables(journey_set_of(empty, []))).num_rows == 0
    file = io.BytesIO()
    tables.write_csv(tables.observation_tables(empty), file)
    assert file.getvalue().decode().count("\n") == 1


def test_tables_become_data_frames() -> None:
    frame = next(tables.hop_tables(floating_ip())).to_pandas()
    assert frame.groupby("journey", observed=True)["delta_ns"].sum().tolist() == [61_000, 55_000]
