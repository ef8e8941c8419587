"""Arrow arrays over numpy's memory hold its values and nulls, of any length."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracer.report import arrays


def test_numbers_with_some_and_no_nulls() -> None:
    values, bits = np.arange(10), np.packbits(np.arange(10) % 3 > 0, bitorder="little")
    found = arrays.numbers(values, bits, 4)
    found.validate(full=True)
    assert found.to_pylist() == [None, 1, 2, None, 4, 5, None, 7, 8, None]
    assert arrays.numbers(values, bits, 0).to_pylist() == list(range(10))


def test_texts_by_code() -> None:
    codes, bits = np.array([1, 0, 1], np.int32), np.array([0b101], np.uint8)
    found = arrays.encoded(codes, bits, 1, pa.array(["a", "b"]))
    found.validate(full=True)
    assert found.to_pylist() == ["b", None, "b"]


def test_nulls_of_any_length() -> None:
    for count in (0, 3, arrays.SHARED_ROWS, arrays.SHARED_ROWS + 1):
        found = arrays.nulls(count, arrays.TEXT)
        found.validate(full=True)
        assert (len(found), found.null_count, found.type) == (count, count, arrays.TEXT)


@pytest.mark.parametrize("kind", [np.bool_, np.int32, np.int64, np.uint8, np.float64])
@pytest.mark.parametrize("missing", [None, [0], [0, 9], range(10)])
def test_values_with_and_without_a_mask(kind: type, missing: Sequence[int] | None) -> None:
    values = np.arange(10).astype(kind)
    mask = None if missing is None else np.isin(np.arange(10), list(missing))
    found = arrays.of(values, mask)
    found.validate(full=True)
    assert found.equals(pa.array(values, mask=mask))
    assert arrays.of(values[::2]).equals(pa.array(values[::2]))


@given(st.lists(st.none() | st.text(st.characters(exclude_categories=["Cs"]))))
def test_texts(values: list[str | None]) -> None:
    found = arrays.texts(values)
    found.validate(full=True)
    assert found.equals(pa.array(values, pa.string()))


def test_values_are_taken_by_index_and_nulls_stay_nulls() -> None:
    indices = pa.array([1, 1, 0])
    for values in (pa.array([5, None]), pa.array([None, None], pa.int64())):
        assert arrays.taken(values, indices).equals(values.take(indices))
    texts = pa.array([None, None], arrays.TEXT)
    assert arrays.taken(texts, indices).to_pylist() == [None] * 3
    assert arrays.taken(texts, indices).type == arrays.TEXT
