"""Fits of clocks made up with a known error."""

import numpy as np
import pytest

from tracer.correlate.clocks.fit import Delays, Fit
from tracer.correlate.clocks.fit import fit as fit_of

SECOND = 1_000_000_000


def fit(stamps, ahead, way) -> Fit:  # type: ignore[no-untyped-def]
    pair, loose = np.zeros(len(way), np.int64), np.zeros(len(way))
    return fit_of(Delays(stamps, ahead, way, pair, loose), int(stamps.min()), int(stamps.max()))


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


@pytest.mark.parametrize("wrong", [0, 1, 2])
def test_a_step_is_two_pieces(wrong: int) -> None:
    stamps, ahead, way = samples(lambda true: np.where(true > 300 * SECOND, 2 * SECOND, 0))
    # Two packets wrongly taken for one seem to arrive before they left: before the step, and after.
    rows = [100, 300][:wrong]
    ahead[rows] -= 500_000 * way[rows]
    found = fit(stamps, ahead, way)
    assert found.evidence == "step"
    assert len(found.pieces) == 2
    assert np.abs(found.error_at(stamps[:1])[0]) < 100_000
    assert np.abs(found.error_at(stamps[-1:])[0] - 2 * SECOND) < 100_000


@pytest.mark.parametrize("set_by_ns", [-200_000, 900_000])
def test_a_small_step_over_a_link_that_takes_no_time_is_two_pieces(set_by_ns: int) -> None:
    # Stamps are rounded by about as much as the quickest packets take.
    rng = np.random.default_rng(2)
    true = np.sort(rng.integers(0, 8 * SECOND, 2_000))
    way = rng.choice([-1, 1], len(true))
    delay = rng.exponential(6_000, len(true)).astype(np.int64) + 500
    rounded = rng.integers(-900, 900, len(true))
    error = np.where(true > 4 * SECOND, set_by_ns, 0)
    found = fit(true + error, error + way * delay + rounded, way)
    assert found.evidence == "step"
    assert len(found.pieces) == 2
    assert np.abs(found.error_at(true + error) - error).max() < 3_000


def test_one_way_alone_bounds_nothing() -> None:
    stamps, ahead, way = samples(lambda true: np.full(len(true), SECOND))
    found = fit(stamps[way > 0], ahead[way > 0], way[way > 0])
    assert found.evidence == "one-way"
    assert found.uncertainty_ns is None
    assert (ahead[way > 0] - found.error_at(stamps[way > 0]) >= 0).all()


@pytest.mark.parametrize("set_by_s", [(2.6,), (-1.2,), (0.7, 4.5), (3, -3)])
@pytest.mark.parametrize("kept", [1, -1])
def test_a_large_step_shows_in_what_goes_one_way(kept: int, set_by_s: tuple[int, ...]) -> None:
    """No packet is that long on its way. The clock is not set back behind a former stamp here."""

    def error(true):  # type: ignore[no-untyped-def]
        steps = [by * SECOND * (true > 200 * SECOND * (n + 1)) for n, by in enumerate(set_by_s)]
        return np.sum(steps, axis=0).astype(np.int64)

    stamps, ahead, way = samples(error)
    mine = np.flatnonzero((way == kept) & (np.diff(stamps, append=stamps[-1] + 1) > 0))
    found = fit(stamps[mine], ahead[mine], way[mine])
    assert (found.evidence, found.uncertainty_ns) == ("one-way", None)
    off = found.error_at(stamps[mine]) - (ahead[mine] - kept * 50_000)
    assert np.abs(off).max() < 200_000


def delays(true, error, way, delay, loose_ns: float = 0.0, pair: int = 0) -> Delays:  # type: ignore[no-untyped-def]
    """What packets say of a clock with an error."""
    ones = np.ones(len(way))
    return Delays(true + error, error + way * delay, way, np.int64(pair) * way**2, loose_ns * ones)


def test_drift_is_that_between_clocks_that_are_near() -> None:
    # To a near clock packets are seen both ways at first only; to a far one all the time.
    rng = np.random.default_rng(1)
    true, drift = np.sort(rng.integers(0, 20 * SECOND, 400)), -45e-6
    error = (true * drift).astype(np.int64)
    way = np.where(true < SECOND // 2, rng.choice([-1, 1], len(true)), 1)
    near = delays(true, error, way, 20_000 + rng.integers(0, 4_000, len(true)))
    other = rng.choice([-1, 1], len(true))
    far = delays(true, error, other, 2_000_000 + rng.integers(0, 90_000, len(true)), pair=1)
    columns = ("stamps", "ahead", "way", "pair", "loose_ns")
    both = Delays(*(np.concatenate([getattr(d, name) for d in (near, far)]) for name in columns))
    found = fit_of(both, 0, 20 * SECOND)
    assert found.drift_ppm == pytest.approx(drift * 1e6, abs=1)


def test_uncertainty_holds_where_no_packet_was_compared() -> None:
    # A quarter of a second of packets, and stamps for twenty: the drift may be what it will.
    rng = np.random.default_rng(1)
    true = np.sort(rng.integers(0, SECOND // 4, 200))
    error = (true * 50e-6).astype(np.int64)
    way = rng.choice([-1, 1], len(true))
    found = fit_of(delays(true, error, way, 20_000 + rng.integers(0, 9_000, 200)), 0, 20 * SECOND)
    late = np.array([20 * SECOND])
    assert found.uncertainty_ns is not None
    assert abs(found.error_at(late)[0] - 50_000 * 20) < found.uncertainty_ns
    assert found.uncertainty_ns < 20_000_000


def test_uncertainty_of_clocks_compared_with_is_included() -> None:
    stamps, ahead, way = samples(lambda true: np.zeros(len(true), np.int64))
    loose = np.full(len(way), 300_000.0)
    pair = np.zeros(len(way), np.int64)
    first, last = int(stamps.min()), int(stamps.max())
    found = fit_of(Delays(stamps, ahead, way, pair, loose), first, last).uncertainty_ns
    alone = fit(stamps, ahead, way).uncertainty_ns
    assert found is not None
    assert alone is not None
    assert found == alone + 300_000
    unbounded = Delays(stamps, ahead, way, pair, loose * np.inf)
    assert fit_of(unbounded, first, last).uncertainty_ns is None


def test_a_rounded_stamp_is_no_step() -> None:
    # Two captures at one place: packets take no time, and one stamp was rounded the other way.
    true = np.arange(0, 200) * SECOND
    ahead = np.where(np.arange(200) == 70, -1, 0)
    way = np.where(np.arange(200) % 2 == 0, 1, -1)
    found = fit(true, ahead, way)
    assert found.evidence == "both-ways"
    assert abs(found.drift_ppm) < 0.001


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("drift", [0.0, -40e-6, 80e-6])
@pytest.mark.parametrize(
    "steps", [((300, 2.0),), ((60, 0.8),), ((200, 0.5), (350, 0.7)), ((100, 1.5), (400, 0.4))]
)
def test_a_clock_that_drifts_is_set(
    steps: tuple[tuple[int, float], ...], drift: float, seed: int
) -> None:
    def error(true):  # type: ignore[no-untyped-def]
        set_by = sum(np.where(true > at * SECOND, int(by * SECOND), 0) for at, by in steps)
        return set_by + (true * drift).astype(np.int64)

    stamps, ahead, way = samples(error, seed)
    found = fit(stamps, ahead, way)
    assert found.evidence == "step"
    assert len(found.pieces) == 1 + len(steps)
    assert found.uncertainty_ns is not None
    assert found.uncertainty_ns < 100_000
    # Every sample is on the right side of each step, those next to it as well.
    assert (np.abs(found.error_at(stamps) - (ahead - way * 50_000)) < 500_000).all()


def test_noise_is_no_step() -> None:
    # Stamps that contradict each other by what a busy host stamps late.
    rng = np.random.default_rng(5)
    stamps, ahead, way = samples(lambda true: np.full(len(true), SECOND), 5)
    late = np.where(rng.random(len(way)) < 0.05, rng.integers(0, 400_000, len(way)), 0)
    found = fit(stamps, ahead - way * late, way)
    assert len(found.pieces) == 1
