"""Equal packets tell by how many of them meet whether they took as long as others."""

import numpy as np
import pytest

from tracer.correlate.clocks.equal_packets import take_as_long

MILLI = 1_000_000
LEAST_NS = 150 * MILLI


def asked(took_ns: int, gap_ns: int, missed: float = 0.0) -> tuple[bool, bool]:
    """Return what is said of packets of one fingerprint from side 0 to 1, and from 1 to 0."""
    rng = np.random.default_rng(7)
    sent = np.cumsum(rng.exponential(gap_ns, 200)).astype(np.int64)
    came = sent + took_ns + rng.integers(0, MILLI // 2, 200)
    sent, came = sent[rng.random(200) >= missed], came[rng.random(200) >= missed]
    side = np.repeat([0, 1], [len(sent), len(came)])
    groups = np.arange(len(side)), np.array([0, len(side)])
    least = np.array([[0, LEAST_NS], [0, 0]])
    spread = np.full((2, 2), MILLI)
    found = take_as_long(groups, side, np.concatenate([sent, came]), side, least, spread)
    return bool(found[0, 1]), bool(found[1, 0])


@pytest.mark.parametrize("gap_ns", [2 * MILLI, 40 * MILLI, 1000 * MILLI])
@pytest.mark.parametrize("missed", [0.0, 0.1])
def test_more_meet_after_the_time_that_they_took(gap_ns: int, missed: float) -> None:
    assert asked(LEAST_NS, gap_ns, missed) == (True, False)
    assert asked(0, gap_ns, missed) == (False, False)


def test_where_none_meet_nothing_is_said() -> None:
    assert asked(70 * MILLI, 5_000 * MILLI) == (False, False)


def test_packets_that_are_unlike_any_other_say_nothing() -> None:
    rows = np.arange(60)
    side = rows % 2
    time = rows // 2 * 10 * MILLI + side * LEAST_NS
    groups = rows, np.arange(0, 61, 2)
    least = np.array([[0, LEAST_NS], [0, 0]])
    assert not take_as_long(groups, side, time, side, least, np.full((2, 2), MILLI)).any()
