"""Fits of clocks made up with a known error."""

import numpy as np
import pytest

from tracer.correlate.clock_fit import fit

SECOND = 1_000_000_000


def samples(error_at, seed: int = 1, count: int = 400):  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(seed)
    true = np.sort(rng.integers(0, 600 * SECOND, count))
    way = rng.choice([-1, 1], count)
    delay = 50_000 + rng.exponential(20_000, count).astype(np.int64)
    return true + error_at(true), error_at(true) + way * delay, way


@pytest.mark.parametrize("drift", [0.0, 40e-6, -80e-6])
def test_offset_and_drift_lie_within_the_uncertainty(drift: float) -> None:
    def error(true):  # type: ignore[no-untyped-def]
        return 3 * SECOND + (true * drift).astype(np.int64)

    stamps, ahead, way = samples(error)
    found = fit(stamps, ahead, way)
    assert found.evidence == "both-ways"
    assert found.drift_ppm == pytest.approx(drift * 1e6, abs=0.5)
    off = found.error_at(stamps) - (ahead - way * 50_000)
    assert np.abs(np.median(off)) < 50_000
    assert found.uncertainty_ns is not None
    assert found.uncertainty_ns < 80_000


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("kept", "drift"), [(1, -22e-6), (-1, 40e-6)])
def test_drift_is_found_where_one_way_was_seen_at_first_only(
    kept: int, drift: float, seed: int
) -> None:
    # A fifth of a second of traffic both ways, then a minute of pings whose other way is not known.
    rng = np.random.default_rng(seed)
    true = np.concatenate([np.sort(rng.integers(0, SECOND // 5, 200)), np.arange(1, 60) * SECOND])
    way = np.where(np.arange(len(true)) < 200, rng.choice([-1, 1], len(true)), kept)
    delay = 700_000 + rng.exponential(20_000, len(true)).astype(np.int64)
    error = (true * drift).astype(np.int64)
    found = fit(true + error, error + way * delay, way)
    assert found.drift_ppm == pytest.approx(drift * 1e6, abs=1)


def test_a_step_is_two_pieces() -> None:
    stamps, ahead, way = samples(lambda true: np.where(true > 300 * SECOND, 2 * SECOND, 0))
    found = fit(stamps, ahead, way)
    assert found.evidence == "step"
    assert len(found.pieces) == 2
    assert np.abs(found.error_at(stamps[:1])[0]) < 100_000
    assert np.abs(found.error_at(stamps[-1:])[0] - 2 * SECOND) < 100_000


def test_one_way_alone_bounds_nothing() -> None:
    stamps, ahead, way = samples(lambda true: np.full(len(true), SECOND))
    found = fit(stamps[way > 0], ahead[way > 0], way[way > 0])
    assert found.evidence == "one-way"
    assert found.uncertainty_ns is None
    assert (ahead[way > 0] - found.error_at(stamps[way > 0]) >= 0).all()
