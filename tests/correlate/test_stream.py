"""Windows give the journeys that all rows at once give."""

from collections.abc import Iterator

import numpy as np
import pytest
from scenarios.catalogue import make

from tracer.core.batch import ObservationBatch
from tracer.core.journeys import JourneySet
from tracer.correlate.join import join
from tracer.correlate.stream import join_windows, windows


def split(batch: ObservationBatch, rows: int) -> list[list[ObservationBatch]]:
    """Return the batch as captures, each in pieces of at most some rows."""
    captures = []
    for capture in np.unique(batch.packets["capture"]):
        mine = np.flatnonzero(batch.packets["capture"] == capture)
        captures.append([batch.take(mine[i : i + rows]) for i in range(0, len(mine), rows)])
    return captures


def members(found: JourneySet) -> Iterator[tuple[tuple[str, int], ...]]:
    """Yield each journey as its hops' captures and frames, in order."""
    packets = found.observations.packets[found.hops["row"]]
    names = np.array(found.observations.captures, object)[packets["capture"]]
    hops = list(zip(names.tolist(), packets["frame"].tolist(), strict=True))
    for journey in found.journeys:
        yield tuple(hops[journey["first_hop"] : journey["first_hop"] + journey["n_hops"]])


@pytest.mark.parametrize("name", ["reordering", "loss", "icmp_errors", "tcp_gso"])
def test_windows_give_what_all_at_once_gives(name: str) -> None:
    batch = make(name, 5, 1.0).batch
    whole = join(batch)
    parts = list(join_windows(split(batch, 300), rows=1500, settle_ns=30_000_000))
    assert len(parts) > 2
    assert sorted(j for part in parts for j in members(part)) == sorted(members(whole))
    outcomes = np.concatenate([part.journeys["outcome"] for part in parts])
    assert np.bincount(outcomes).tolist() == np.bincount(whole.journeys["outcome"]).tolist()


def test_journeys_are_numbered_on() -> None:
    parts = list(join_windows(split(make("loss", 5).batch, 300), rows=1500, settle_ns=30_000_000))
    ends = np.cumsum([len(part.journeys) for part in parts])
    assert [part.first_journey for part in parts] == [1, *(1 + ends[:-1])]


def test_windows_are_complete_up_to_their_time() -> None:
    batch = make("reordering", 5).batch
    seen, last = 0, np.iinfo(np.int64).min
    for window, until_ns in windows(split(batch, 200), rows=1000):
        times = window.packets["time_ns"]
        assert times.min() > last
        assert times.max() <= until_ns
        seen, last = seen + len(window), until_ns
    assert seen == len(batch)


def test_no_captures_give_no_windows() -> None:
    assert list(windows([[], iter(())])) == []
