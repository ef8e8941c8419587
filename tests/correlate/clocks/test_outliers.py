"""Samples of packets that went another way than their TTLs tell are told from the others."""

import numpy as np
import pytest
from made import batch_of

from tracer.core.point import Point
from tracer.correlate.clocks.drift import Sides
from tracer.correlate.clocks.outliers import contradicting
from tracer.correlate.join import join

MICRO, MILLI, SECOND = 1_000, 1_000_000, 1_000_000_000
ROUNDED_NS = 2 * MICRO


def sides(rng: np.random.Generator, drift: float, count: int = 600) -> Sides:
    """Return samples of a clock 1 ms ahead that drifts, of packets that took 1 µs and longer."""
    both = []
    for way in (1, -1):
        x = np.sort(rng.uniform(0, 2 * SECOND, count))
        both.append(
            np.stack([x, MILLI + drift * x + way * (MICRO + rng.exponential(MILLI, count))])
        )
    return Sides(*both)


@pytest.mark.parametrize("drift", [0.0, 40e-6, -90e-6])
@pytest.mark.parametrize("share", [0.0, 0.01])
def test_those_on_the_wrong_side_are_found(drift: float, share: float) -> None:
    rng = np.random.default_rng(3)
    given = sides(rng, drift)
    astray = rng.random((2, 600)) < share
    given.here[1][astray[0]] -= 20 * MILLI
    given.there[1][astray[1]] += 20 * MILLI
    for found, wrong in zip(contradicting(given, ROUNDED_NS), astray, strict=True):
        assert (found == wrong).all()


def test_a_step_is_no_outlier() -> None:
    given = sides(np.random.default_rng(4), 0.0)
    for side in (given.here, given.there):
        side[1][side[0] > 1.97 * SECOND] += 3 * SECOND  # some of one way contradict
    assert not any(found.any() for found in contradicting(given, ROUNDED_NS))


def test_where_many_contradict_none_is_left_out() -> None:
    rng = np.random.default_rng(5)
    given = sides(rng, 0.0)
    given.here[1][rng.random(600) < 0.2] -= 20 * MILLI
    assert not any(found.any() for found in contradicting(given, ROUNDED_NS))


def test_clocks_that_others_show_to_be_off_are_not_believed_for_want_of_contradiction() -> None:
    """Of two hosts' packets those one way alone show which was first; both answer a third."""
    rows: list[dict[str, object]] = []
    points = tuple(Point(host, None, "eth0") for host in ("middle", "ahead", "behind"))
    for number in range(90):
        hops = (((1, 64, 0), (0, 63, 40), (2, 62, 90)), ((0, 64, 0), (1, 63, 45)),
                ((2, 64, 0), (0, 63, 50)))[number % 3]  # fmt: skip
        for point, ttl, at_us in hops:
            rows.append(
                {"point": point, "ttl": ttl, "time_ns": number * 5 * MILLI + at_us * MICRO,
                 "ip_version": 4, "ethertype": 0x800, "proto": 17, "ip_id": number + 1,
                 "src": f"10.0.{hops[0][0]}.2", "dst": f"10.0.{hops[-1][0]}.2", "sport": 9,
                 "dport": 9, "payload_len": 20, "ip_len": 48, "src_mac": f"02:00:00:00:{ttl}:01",
                 "dst_mac": f"02:00:00:00:{ttl}:02"}
            )  # fmt: skip
    batch = batch_of(rows, points)
    for point, off_ms in ((1, 100), (2, 300)):
        batch.packets["time_ns"][batch.packets["point"] == point] += off_ms * MILLI

    found = {clock.clock: clock.offset_ns for clock in join(batch).clocks}

    apart = [found[name] - found["middle"] for name in ("ahead", "behind")]
    assert apart == pytest.approx([-100 * MILLI, -300 * MILLI], abs=100 * MICRO)
