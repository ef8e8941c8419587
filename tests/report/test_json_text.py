"""JSON text of columns reads back as the columns' values."""

import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracer.report.json_text import joined, json_objects, json_values, line_bytes


@given(st.lists(st.one_of(st.none(), st.text()), min_size=1))
def test_json_of_text_gives_it_back(values: list[str | None]) -> None:
    column = pa.array(values, pa.string()).dictionary_encode()
    assert [json.loads(text) for text in json_values(column).to_pylist()] == values


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, None, -(1 << 63), (1 << 63) - 1], pa.int64()),
        ([True, None, False], pa.bool_()),
        ([0.5, None, 1.0, 1e-9], pa.float64()),
        ([None, None], pa.int64()),
    ],
)
def test_numbers_and_truth(values: list[Any], kind: pa.DataType) -> None:
    column = pa.array(values, kind)
    assert [json.loads(text) for text in json_values(column).to_pylist()] == values


def test_objects_have_their_keys_in_order() -> None:
    columns = {
        "b": pa.array([1, 2]),
        "none": pa.array([None, None], pa.int64()),
        "a": pa.array(["x", None]).dictionary_encode(),
    }
    objects = json_objects(columns).to_pylist()
    assert objects == ['{"b":1,"none":null,"a":"x"}', '{"b":2,"none":null,"a":null}']


def test_objects_of_nothing_but_nulls() -> None:
    nulls = pa.array([None, None], pa.int64())
    assert json_objects({"a": nulls, "b": nulls}).to_pylist() == ['{"a":null,"b":null}'] * 2


@given(st.lists(st.text()), st.integers(0, 5))
def test_lines_are_put_one_after_the_other(texts: list[str], start: int) -> None:
    lines = joined(pa.array(texts, pa.string()), "\n")
    expected = "".join(f"{text}\n" for text in texts[start:]).encode()
    assert line_bytes(lines[start:] if start <= len(texts) else lines[:0]) == expected
