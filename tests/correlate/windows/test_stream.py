"""Windows give the journeys that all rows at once give."""

from collections import Counter
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scenarios.catalogue import make
from scenarios.elements import Link
from scenarios.places import EXTERNAL, FIXED, line
from scenarios.traffic import datagrams
from scenarios.windows import members, records, split
from scenarios.world import World

from tracer.core.batch import Gap, ObservationBatch, concat
from tracer.core.enums import Outcome
from tracer.correlate.join import join
from tracer.correlate.windows.ordered import Horizon
from tracer.correlate.windows.stream import join_windows, judged_gaps, windows

SHORT = Horizon(quiet_ns=30_000_000, answer_ns=60_000_000, context_ns=2_000_000_000)


@pytest.mark.parametrize(
    "name",
    [
        "reordering",
        "loss",
        "icmp_errors",
        "icmp6_errors",
        "tcp_selective_acks",
        "wrapped_ids",
        "fragments_recut",
        "fragments_recut_nat",
        "any_loss",
        "any_ipv6",
    ],
)
@pytest.mark.parametrize("rows", [700, 1200])
def test_windows_give_what_all_at_once_gives(name: str, rows: int) -> None:
    batch = make(name, 5, 1.0).batch
    whole = records(join(batch))
    parts = list(join_windows(split(batch, 300), rows=rows, horizon=SHORT))
    assert len(parts) > 2
    numbered = [records(part) for part in parts]
    together = {number: said for part in numbered for number, said in part.items()}
    assert len(together) == sum(len(part) for part in numbered)
    assert together == whole


@settings(max_examples=8, deadline=None)
@given(rows=st.integers(300, 6000), piece=st.integers(10, 800))
def test_the_size_of_windows_does_not_matter(rows: int, piece: int) -> None:
    batch, whole = _loss()
    parts = join_windows(split(batch, piece), rows=rows, horizon=SHORT)
    assert {n: said for part in parts for n, said in records(part).items()} == whole


@cache
def _loss() -> tuple[ObservationBatch, dict[int, tuple[object, ...]]]:
    batch = make("loss", 5).batch
    return batch, records(join(batch))


def test_what_comes_too_late_is_a_journey_of_its_own() -> None:
    batch = make("loss", 5, 0.3).batch
    parts = list(join_windows(split(batch, 20), rows=100, horizon=Horizon(0, 0, 0, 0, 0, 0)))
    seen = sorted(hop for part in parts for hops in members(part) for hop in hops)
    assert seen == sorted(hop for hops in members(join(batch)) for hop in hops)
    numbers = [number for part in parts for number in records(part)]
    assert sorted(numbers) == list(range(1, len(numbers) + 1))


def test_what_comes_too_late_goes_on_to_where_only_former_windows_have_packets() -> None:
    batch = make("loss", 5, 0.3).batch
    captures = split(batch, 20)
    for pieces in captures[:5]:
        pieces.append(pieces.pop(1))  # files that are not in order, as after a clock was set back
    parts = list(join_windows(captures, rows=100, horizon=Horizon(0, 0, 0, 0, 0, 0)))
    assert sum(len(part.hops) for part in parts) == len(batch)


def test_windows_are_complete_up_to_their_time() -> None:
    batch = make("reordering", 5).batch
    seen, last = 0, np.iinfo(np.int64).min
    for window in windows(split(batch, 200), rows=1000):
        given = concat([batch for batches in window.given for batch in batches])
        following = concat([batch for batches in window.following for batch in batches])
        times = given.packets["time_ns"]
        assert times.min() > last
        if window.until_ns is not None:
            assert times.max() <= window.until_ns
            assert following.packets["time_ns"].min() > window.until_ns
            last = window.until_ns
        seen += len(times)
    assert seen == len(batch)


def test_no_captures_give_no_windows() -> None:
    assert list(windows([[], iter(())])) == []


@pytest.mark.parametrize(("missed", "lost"), [(0.15, 0.0), (0.02, 0.06)])
def test_what_a_capture_says_it_lost_is_judged_over_all_windows(missed: float, lost: float) -> None:
    # A counter at the end of a capture: what is missing in a window is always less than it says.
    world = World(3)
    chain = line(world, 4, per_host=2)
    wire = next(element for element in chain.elements[3:] if isinstance(element, Link))
    wire.loss = lost
    world.run(chain, datagrams(world, FIXED, EXTERNAL, 1200, flows=8))
    world.captures[2].missed = missed
    world.captures[3].missed = 1.0 if not lost else 0.0
    batch = world.finish("counter").batch
    packets = batch.packets
    mine = packets["time_ns"][packets["point"] == 2]
    passed = sum(len(frames) for point, _, frames in world.seen if point == 2)
    gap = Gap(batch.points[2], int(mine.min()), int(mine.max()), passed - len(mine))
    pieces = split(batch, 200)
    known = judged_gaps(pieces, [gap], rows=500, horizon=SHORT)
    parts = list(join_windows(pieces, rows=500, horizon=SHORT, gaps=known))
    assert len(parts) > 2
    batch.gaps = (gap,)
    whole = join(batch)
    assert {n: said for part in parts for n, said in records(part).items()} == records(whole)
    counts = Counter(whole.journeys["outcome"].tolist())
    if lost:
        assert not counts[Outcome.LOST_BY_TRACER]
        assert counts[Outcome.VANISHED] > 40
    else:
        over = counts[Outcome.UNFINISHED]  # after its last packet the capture may have ended
        assert counts[Outcome.LOST_BY_TRACER] + over == gap.packets > 100
        assert over < 3
        assert not counts[Outcome.VANISHED]
