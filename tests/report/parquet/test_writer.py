"""Parquet files: Arrow reads what was written, value for value, whatever tables hold."""

import io
import math
import os
from collections.abc import Sequence
from importlib.metadata import version

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracer.report import tables
from tracer.report.parquet.writer import Writer, is_written, write

TEXT = pa.dictionary(pa.int32(), pa.string())
INT64 = st.integers(-(1 << 63), (1 << 63) - 1)
VALUES = {
    pa.int64(): st.one_of(INT64, st.integers(0, 3), st.integers(1000, 1200)),
    pa.float64(): st.one_of(st.floats(), st.sampled_from((0.0, -0.0, 0.5))),
    pa.bool_(): st.booleans(),
    TEXT: st.text(max_size=20),
}


@st.composite
def columns(draw: st.DrawFn, kind: pa.DataType, count: int) -> pa.Array:
    """Runs of values and of nulls, a slice of a longer array."""
    before, after = draw(st.integers(0, 9)), draw(st.integers(0, 9))
    one = st.one_of(st.none(), VALUES[kind]) if draw(st.booleans()) else VALUES[kind]
    values: list[object] = []
    while len(values) < before + count + after:
        values += [draw(one)] * draw(st.one_of(st.integers(1, 3), st.integers(1, 70)))
    array = pa.array(values[: before + count + after], pa.string() if kind == TEXT else kind)
    array = array.dictionary_encode() if kind == TEXT else array
    return array.slice(before, count)


@st.composite
def groups(draw: st.DrawFn) -> list[pa.Table]:
    """Tables of one schema."""
    kinds = draw(st.lists(st.sampled_from(list(VALUES)), min_size=1, max_size=4))
    found = []
    for _ in range(draw(st.integers(1, 3))):
        count = draw(st.integers(0, 300))
        arrays = [draw(columns(kind, count)) for kind in kinds]
        found.append(pa.table({f"c{n}": array for n, array in enumerate(arrays)}))
    return found


def written(
    parts: Sequence[pa.Table], deltas: Sequence[str] = (), limits: Sequence[str] = ()
) -> bytes:
    file = io.BytesIO()
    write(parts, file, deltas, limits)
    return file.getvalue()


def values(table: pa.Table) -> list[list[object]]:
    # Text as text, whatever its dictionary; NaN and -0.0 by their bits.
    def plain(value: object) -> object:
        return np.float64(value).tobytes() if isinstance(value, float) else value

    return [[plain(value) for value in column.to_pylist()] for column in table.columns]


def assert_same(parts: Sequence[pa.Table], data: bytes) -> None:
    found = pq.read_table(io.BytesIO(data))
    assert found.schema == parts[0].schema
    assert values(found) == values(pa.concat_tables(parts))


@given(groups(), st.booleans())
@settings(deadline=None)
def test_any_table_is_read_as_it_was(parts: list[pa.Table], deltas: bool) -> None:
    numbers = [field.name for field in parts[0].schema if field.type == pa.int64()]
    data = written(parts, numbers if deltas else (), numbers)
    assert_same(parts, data)
    file = pq.ParquetFile(io.BytesIO(data))
    shown = [part for part in parts if part.num_rows]
    assert file.metadata.num_rows == sum(map(len, parts))
    assert [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)] == [
        len(part) for part in shown
    ]
    for n, part in enumerate(shown):
        for at, name in enumerate(part.column_names):
            told = file.metadata.row_group(n).column(at).statistics
            assert (told is not None) == (name in numbers)
            if told is not None:
                limits = pc.min_max(part[name]).as_py()
                assert told.has_min_max == (part[name].null_count < len(part))
                assert (told.min, told.max) == (limits["min"], limits["max"])
                assert told.null_count == part[name].null_count


@pytest.mark.parametrize("deltas", [(), ("value",)])
@pytest.mark.parametrize("count", [1, 127, 128, 129, 65_537])
@pytest.mark.parametrize("distinct", [1, 2, 1024, 1025, 40_000])
@pytest.mark.parametrize("run", [1, 5, 8])
def test_as_many_values_as_there_are(
    deltas: tuple[str, ...], count: int, distinct: int, run: int
) -> None:
    rng = np.random.default_rng(count)
    some = rng.integers(-(1 << 62), 1 << 62, distinct)
    numbers = np.repeat(rng.choice(some, count // run + 1), run)[:count]
    missing = rng.random(count) < 0.1
    for array in (pa.array(numbers), pa.array(numbers, mask=missing)):
        assert_same([pa.table({"value": array})], written([pa.table({"value": array})], deltas))


@pytest.mark.parametrize("count", [1, 7, 8, 65_537])
@pytest.mark.parametrize("distinct", [1, 2, 300, 40_000])
@pytest.mark.parametrize("run", [1, 3, 8, 100])
def test_as_many_texts_as_there_are(count: int, distinct: int, run: int) -> None:
    rng = np.random.default_rng(count)
    texts = pa.array([f"text {n}" for n in range(distinct)])
    codes = np.repeat(rng.integers(0, distinct, count // run + 1, np.int32), run)[:count]
    for indices in (pa.array(codes), pa.array(codes, mask=rng.random(count) < 0.1)):
        table = pa.table({"value": pa.DictionaryArray.from_arrays(indices, texts)})
        assert_same([table], written([table]))


@given(st.lists(st.tuples(st.integers(1, 70), st.integers(0, 1 << 20)), min_size=1, max_size=80))
def test_runs_of_any_lengths(runs: list[tuple[int, int]]) -> None:
    lengths, codes = np.array(runs, np.int32).T
    numbers = pa.table({"value": pa.array(np.repeat(codes.astype(np.int64), lengths))})
    assert_same([numbers], written([numbers]))
    assert_same([numbers], written([numbers], ["value"]))


def test_dictionaries_that_differ_or_have_nulls() -> None:
    some = pa.DictionaryArray.from_arrays(pa.array([0, 1, None, 2], pa.int32()), ["b", "a", None])
    other = pa.array(["a", "c", "c"]).dictionary_encode()
    twice = pa.DictionaryArray.from_arrays(pa.array([0, 1, 0], pa.int32()), ["a", "a"])
    none = pa.DictionaryArray.from_arrays(pa.array([0, 0], pa.int32()), pa.array([None], "string"))
    parts = [pa.table({"text": each}) for each in (some, other, twice, none)]
    assert_same(parts, written(parts))
    chunks = pa.table({"text": pa.chunked_array([some, other, twice, none])})
    assert_same([chunks], written([chunks]))


def test_a_table_of_another_schema_is_refused() -> None:
    file = io.BytesIO()
    table = pa.table({"n": [1]})
    with pytest.raises(ValueError, match="schema is not that of the file"):
        write([table, table.rename_columns(["m"])], file, (), ())


def test_what_the_footer_tells() -> None:
    count = 1000
    table = pa.table(
        {
            "same": pa.array(np.zeros(count, np.int64)),
            "other": pa.array(np.arange(count)),
            "time_ns": pa.array(np.arange(count) ** 3),
            "gone": pa.nulls(count, pa.int64()),
        }
    )
    file = pq.ParquetFile(io.BytesIO(written([table], ["time_ns"], ["gone"])))
    assert file.metadata.created_by == f"tracer version {version('tracer')}"
    group = file.metadata.row_group(0)
    columns = [group.column(at) for at in range(len(table.columns))]
    assert [each.compression == "ZSTD" for each in columns] == [False, True, True, False]
    assert "DELTA_BINARY_PACKED" in columns[2].encodings
    assert [each.has_dictionary_page for each in columns] == [True, True, False, False]
    assert columns[3].statistics.null_count == count
    assert not columns[3].statistics.has_min_max


def test_a_column_of_several_chunks_and_texts_of_any_length() -> None:
    texts = ["", "é" * 9000, "ü", None, "tap0"] * 50
    chunks = [pa.array(texts[n : n + 70]).dictionary_encode() for n in range(0, len(texts), 70)]
    table = pa.table({"text": pa.chunked_array(chunks).unify_dictionaries()})
    assert table["text"].num_chunks > 1
    assert_same([table], written([table]))


def test_what_is_not_known_is_left_to_arrow() -> None:
    table = pa.table({"a": pa.array([1], pa.int8()), "b": ["text"]})
    assert not is_written(table.schema)
    large = pa.table({"a": pa.array(range(tables.CHUNK_ROWS), pa.int32())})
    for each in (table, large):
        file = io.BytesIO()
        tables.write_parquet([each], file)
        assert pq.read_table(io.BytesIO(file.getvalue())) == each


def test_large_tables_are_written_here_and_small_ones_by_arrow() -> None:
    table = pa.table({"n": pa.array(range(tables.CHUNK_ROWS))})
    for each, maker in ((table, "tracer"), (table[:10], "parquet-cpp-arrow")):
        file = io.BytesIO()
        tables.write_parquet([each, table], file)
        found = pq.ParquetFile(io.BytesIO(file.getvalue()))
        assert found.metadata.created_by.startswith(maker)
        assert found.read() == pa.concat_tables([each, table])


def test_to_a_pipe() -> None:
    reading, writing = os.pipe()
    table = pa.table({"n": [1, 2, 3], "f": [0.5, math.inf, None]})
    with os.fdopen(writing, "wb") as file:
        writer = Writer(file, table.schema, (), ())
        writer.write(table)
        writer.close()
    with os.fdopen(reading, "rb") as file:
        assert pq.read_table(io.BytesIO(file.read())) == table


def test_a_run_is_shorter_than_its_values() -> None:
    count = 1 << 16
    alike = pa.table({"a": pa.array(np.zeros(count, np.int64)), "b": pa.nulls(count, pa.int64())})
    assert len(written([alike])) < 1000
    in_runs = pa.table({"a": pa.array(np.repeat(np.arange(count // 8), 8))})
    assert len(written([in_runs])) < count
