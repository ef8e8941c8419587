"""The time between two links that only equal packets pass."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scenarios.catalogue import make
from scenarios.scoring import claims, score

from tracer.core.schema import PACKET_DTYPE, null_record
from tracer.correlate.join import join
from tracer.correlate.order.agreed_times import AgreedTimes, agreed_times
from tracer.correlate.order.links import LinkOrder

Times = NDArray[np.int64]
MICRO = 1_000
NOBODY = np.empty(0, np.int64)


def told(*times: Times, known: bool = False) -> dict[tuple[int, int], int]:
    """Return the time told between links, each with the times of the packets there.

    `known`: a kernel's buffers tell them apart.
    """
    link = np.repeat(np.arange(len(times)), [len(each) for each in times])
    time = np.concatenate(times)
    packets = np.repeat(null_record(PACKET_DTYPE), len(time))
    packets["ip_id"] = 0
    order = np.argsort(time, kind="stable")
    links = LinkOrder(link, NOBODY.astype(np.uint64), *[NOBODY] * 3, np.arange(len(times)), NOBODY)
    groups = order, np.array([0, len(time)])
    nothing = np.zeros(len(time), np.int64)
    found = agreed_times(packets, links, groups, nothing, nothing if known else NOBODY, time).links
    pairs = [(int(key) >> 32, int(key) & 0xFFFFFFFF) for key in found.keys]
    assert (np.diff(found.keys) > 0).all()
    return dict(zip(pairs, found.delay_ns.tolist(), strict=True))


def sent(rng: np.random.Generator, count: int, gap_ns: int, unsteady: float) -> Times:
    """Return times about `gap_ns` apart, give or take a share of it."""
    gaps = gap_ns * (1 + unsteady * rng.uniform(-1, 1, count))
    found: Times = np.cumsum(gaps).astype(np.int64)
    return found


def arrived(
    rng: np.random.Generator, times: Times, delay_ns: int, jitter_ns: int, loss: float
) -> Times:
    """Return when those that were not lost came, in the order in which they were sent."""
    came = times + delay_ns + rng.exponential(jitter_ns, len(times)).astype(np.int64)
    found: Times = np.maximum.accumulate(came[rng.random(len(times)) >= loss])
    return found


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 1 << 30),
    count=st.integers(60, 700),
    gap_ns=st.integers(20 * MICRO, 50_000 * MICRO),
    in_flight=st.floats(0.05, 12),
    loss=st.floats(0, 0.2),
)
def test_the_time_is_told_though_packets_are_lost(
    seed: int, count: int, gap_ns: int, in_flight: float, loss: float
) -> None:
    rng = np.random.default_rng(seed)
    delay_ns, jitter_ns = int(in_flight * gap_ns), gap_ns // 200
    at_first = sent(rng, count, gap_ns, 0.2)
    seen = at_first[rng.random(count) >= loss / 4]  # the capture may miss some, too
    found = told(seen, arrived(rng, at_first, delay_ns, jitter_ns, loss))
    assert found.keys() <= {(0, 1)}
    if loss < 0.1:
        assert found
    for time in found.values():
        assert abs(time - delay_ns) < 4 * jitter_ns


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1 << 30), in_flight=st.floats(1.2, 12))
def test_nothing_is_told_of_packets_as_regular_as_links_are(seed: int, in_flight: float) -> None:
    rng = np.random.default_rng(seed)
    gap_ns = 1000 * MICRO
    at_first = sent(rng, 300, gap_ns, 0.0)
    assert not told(at_first, arrived(rng, at_first, int(in_flight * gap_ns), 20 * MICRO, 0.05))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1 << 30))
def test_packets_that_wait_for_each_other_tell_nothing_wrong(seed: int) -> None:
    rng = np.random.default_rng(seed)
    at_first = arrived(rng, sent(rng, 300, 50 * MICRO, 0.2), 0, 90 * MICRO, 0.1)
    found = told(at_first, arrived(rng, at_first, 60 * MICRO, 90 * MICRO, 0.1))
    for pair, time in found.items():
        assert pair == (0, 1)
        assert 60 * MICRO <= time < 600 * MICRO


def test_links_that_no_packet_passes_both_have_no_time() -> None:
    rng = np.random.default_rng(1)
    assert not told(sent(rng, 200, 100 * MICRO, 0.3), sent(rng, 200, 100 * MICRO, 0.3))


def test_a_step_that_takes_no_time_has_no_order() -> None:
    rng = np.random.default_rng(2)
    times = sent(rng, 200, 100 * MICRO, 0.3)
    assert not told(times, times + rng.integers(-500, 500, 200))


def test_where_kernel_buffers_tell_packets_apart_nothing_is_asked() -> None:
    times = sent(np.random.default_rng(3), 200, 100 * MICRO, 0.3)
    assert told(times, times + 50 * MICRO)
    assert not told(times, times + 50 * MICRO, known=True)


def test_equal_packets_on_a_long_way_are_told_apart_by_the_time_it_takes() -> None:
    for seed in (11, 12):
        scenario = make("udp_equal_far", seed)
        found = join(scenario.batch)
        _, right, _ = claims(scenario.truth, found)
        assert len(right) > 0.98 * (len(scenario.batch) - len(np.unique(scenario.truth.packet)))
        assert right.mean() > 0.999


def test_where_several_times_would_do_journeys_are_ambiguous_and_not_sure() -> None:
    for seed in (11, 12):
        scenario = make("udp_equal_regular", seed)
        found = join(scenario.batch)
        claimed, right, _ = claims(scenario.truth, found)
        result = score(scenario, found)
        assert result.mixed > 200
        assert result.silent < 0.01
        assert (claimed[~right] < 0.99).mean() > 0.99


def test_a_flow_of_which_each_link_shows_a_few_packets_is_left_open_where_others_are() -> None:
    count, places = 15, 3  # fewer than say how far packets are apart
    sent_ns = np.arange(count) * 50_000 * MICRO
    time = np.concatenate([sent_ns + place * 1000 * MICRO for place in range(places)])
    link, journey = np.repeat(np.arange(places), count), np.tile(np.arange(count), places)
    links = LinkOrder(link, NOBODY.astype(np.uint64), *[NOBODY] * 3, np.arange(places), NOBODY)
    agreed = AgreedTimes(links, (np.arange(len(time)),), frozenset({(0, 1)}))
    assert sorted(agreed.left_open(journey, time)) == list(range(count, 2 * count))
