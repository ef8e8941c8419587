"""Fields side by side are what the records hold, and what is null is counted and marked."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tracer.core.spread import Layout, Spread

DTYPE = np.dtype(
    [("a", "<i4"), ("b", "i1"), ("c", "<i2"), ("d", "<u8"), ("e", "<i8"), ("f", "<f4")], align=True
)
NULLS = {"a": 0, "b": -1, "c": -1, "d": (1 << 64) - 1, "e": np.iinfo(np.int64).min}
LAYOUT = Layout(DTYPE, NULLS.__getitem__)


@given(st.integers(0, 1 << 32), st.integers(1, 700), st.booleans())
def test_fields_of_rows(seed: int, count: int, shuffled: bool) -> None:
    rng = np.random.default_rng(seed)
    records = np.zeros(300, DTYPE)
    for name, null in NULLS.items():
        limits = np.iinfo(DTYPE[name])
        values = rng.integers(limits.min, limits.max, 300, DTYPE[name].type, endpoint=True)
        records[name] = np.where(rng.random(300) < rng.choice([0, 0.3, 1]), null, values)
    rows = rng.integers(0, 300, count) if shuffled else np.arange(min(count, 300))
    spread = Spread(LAYOUT, records, rows, tuple(NULLS))
    for name, null in NULLS.items():
        expected = records[name][rows]
        assert np.array_equal(spread.of(name), expected)
        assert spread.of(name).dtype == (np.uint64 if name == "d" else np.int64)
        known = np.unpackbits(spread.valid(name), count=len(rows), bitorder="little") == 1
        assert np.array_equal(known, expected != DTYPE[name].type(null))
        assert spread.missing(name) == np.count_nonzero(~known)


def test_no_rows_are_spread_to_empty_columns() -> None:
    spread = Spread(LAYOUT, np.zeros(3, DTYPE), np.empty(0, np.int64), ("a",))
    assert (len(spread.of("a")), spread.missing("a")) == (0, 0)
