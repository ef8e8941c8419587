import time

import numpy as np
import pytest

from tracer.sources.live import clock as module
from tracer.sources.live.clock import Clock, sample


def test_now_is_now() -> None:
    clock = Clock()
    before = time.time_ns()
    mono = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    after = time.time_ns()
    clock.resample()
    (utc,) = clock.epoch_ns(np.array([mono], np.uint64)).tolist()
    slack = clock.uncertainty_ns + 1000
    assert before - slack <= utc <= after + slack


def test_a_sample_says_how_good_it_is() -> None:
    at, offset, uncertainty = sample()
    assert abs(time.time_ns() - time.clock_gettime_ns(time.CLOCK_MONOTONIC) - offset) < 10**8
    assert 0 <= uncertainty < 10**7
    assert at > 0


def test_times_keep_their_order_while_the_offset_drifts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drifting = iter([(1_000, 5_000, 1), (2_000, 4_500, 1), (3_000, 4_900, 1)])
    monkeypatch.setattr(module, "sample", lambda: next(drifting))
    clock = Clock()
    clock.resample()
    clock.resample()
    mono = np.arange(500, 3_500, 7, dtype=np.uint64)
    utc = clock.epoch_ns(mono)
    assert utc.dtype == np.int64
    assert (np.diff(utc) >= 0).all()
    assert clock.epoch_ns(np.array([2_000], np.uint64)).tolist() == [6_500]
    assert clock.epoch_ns(np.array([1_500], np.uint64)).tolist() == [6_250]


def test_a_step_of_the_wall_clock_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    stepping = iter([(0, 10**18, 1), (10, 10**18 + 3_600_000_000_000, 1)])
    monkeypatch.setattr(module, "sample", lambda: next(stepping))
    clock = Clock()
    clock.resample()
    assert clock.steps == 1


def test_nanoseconds_survive_large_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "sample", lambda: (0, 1_764_000_000_123_456_789, 1))
    assert Clock().epoch_ns(np.array([7], np.uint64)).tolist() == [1_764_000_000_123_456_796]
