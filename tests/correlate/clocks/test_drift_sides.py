"""The corridor of a clock's error: what bounds it, whatever its drift."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tracer.correlate.clocks.drift import MOST_DRIFT, Sides

MOMENTS = st.lists(
    st.tuples(st.integers(0, 10**13), st.integers(-(10**9), 10**9)), min_size=1, max_size=60
)


def of(here: list[tuple[int, int]], there: list[tuple[int, int]]) -> Sides:
    ways = (np.array(sorted(way), np.float64).T for way in (here, there))
    return Sides(*(np.asfortranarray(way) for way in ways))


@given(MOMENTS, MOMENTS, st.floats(-MOST_DRIFT, MOST_DRIFT))
def test_the_outermost_samples_bound_as_all_do(
    here: list[tuple[int, int]], there: list[tuple[int, int]], drift: float
) -> None:
    sides = of(here, there)
    outer = sides.outermost()
    low = max(y - drift * x for x, y in there)
    high = min(y - drift * x for x, y in here)
    assert np.allclose(sides.corridor(drift), (low, high), rtol=0, atol=1e-3)
    assert np.allclose(outer.corridor(drift), (low, high), rtol=0, atol=1e-3)
    for whole, few in ((sides.here, outer.here), (sides.there, outer.there)):
        assert whole[0, 0] == few[0, 0]
        assert whole[0, -1] == few[0, -1]


def test_of_many_samples_few_are_outermost() -> None:
    rng = np.random.default_rng(1)
    x = np.sort(rng.integers(0, 10**12, 50_000))
    ways = (np.stack([x, sign * rng.exponential(1e5, len(x))]) for sign in (1, -1))
    outer = Sides(*(np.asfortranarray(way) for way in ways)).outermost()
    assert outer.here.shape[1] + outer.there.shape[1] < 100


def test_no_samples_leave_all_open() -> None:
    nothing = np.empty((2, 0), order="F")
    assert Sides(nothing, nothing).outermost().corridor(0.0) == (-np.inf, np.inf)
