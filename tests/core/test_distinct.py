"""Distinct pairs are found once each, in order of appearance, and nulls are left out."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tracer.core.distinct import distinct

ALL = (1 << 64) - 1
HALVES = st.sampled_from([0, 1, 2, ALL - 1, ALL])


@given(st.lists(st.tuples(HALVES, HALVES), max_size=300), st.sampled_from([0, ALL]))
def test_every_row_has_its_value(pairs: list[tuple[int, int]], null: int) -> None:
    high, low = (np.array(part, np.uint64) for part in zip(*pairs, strict=True)) if pairs else (
        np.empty(0, np.uint64), np.empty(0, np.uint64)
    )  # fmt: skip
    codes, firsts, valid, missing = distinct(high, low, null)
    known = np.unpackbits(valid, count=len(pairs), bitorder="little")
    values = [pairs[row] for row in firsts.tolist()]
    assert values == list(dict.fromkeys(pair for pair in pairs if pair != (null, null)))
    assert missing == pairs.count((null, null))
    for pair, code, is_known in zip(pairs, codes.tolist(), known.tolist(), strict=True):
        assert (values[code] if is_known else (null, null)) == pair


def test_many_values_of_one_part() -> None:
    keys = np.random.default_rng(1).permutation(np.repeat(np.arange(50_000, dtype=np.uint64), 3))
    codes, firsts, _, missing = distinct(keys, keys, ALL)
    assert (len(firsts), missing) == (50_000, 0)
    assert np.array_equal(keys[firsts][codes], keys)
