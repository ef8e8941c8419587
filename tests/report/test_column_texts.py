"""Texts of whole columns are those of single values."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tracer.core.address import V4_PREFIX
from tracer.core.schema import BY_NAME
from tracer.core.values import public_value
from tracer.report.column_texts import column_texts

FOUR = st.integers(0, (1 << 32) - 1).map(lambda number: (0, V4_PREFIX | number))
SIX = st.tuples(st.integers(0, (1 << 64) - 2), st.integers(0, (1 << 64) - 2))


@given(st.lists(FOUR, min_size=1) | st.lists(FOUR | SIX, min_size=1))
def test_addresses(values: list[tuple[int, int]]) -> None:
    parts = tuple(np.array(part, np.uint64) for part in zip(*values, strict=True))
    expected = [public_value(BY_NAME["src"], value) for value in values]
    assert column_texts(BY_NAME["src"], parts).to_pylist() == expected


@given(st.lists(st.integers(0, (1 << 48) - 1)))
def test_macs(values: list[int]) -> None:
    expected = [public_value(BY_NAME["src_mac"], (value,)) for value in values]
    assert column_texts(BY_NAME["src_mac"], (np.array(values, np.uint64),)).to_pylist() == expected


@given(st.lists(st.integers(1, (1 << 64) - 1)))
def test_digests(values: list[int]) -> None:
    column = BY_NAME["payload_digest"]
    expected = [public_value(column, (value,)) for value in values]
    assert column_texts(column, (np.array(values, np.uint64),)).to_pylist() == expected
