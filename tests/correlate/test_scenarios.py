"""Every scenario of the catalogue, judged against its truth."""

from dataclasses import replace

import numpy as np
import pytest
from scenarios.catalogue import SCENARIOS, make
from scenarios.scoring import score

from tracer.core.batch import ObservationBatch, concat
from tracer.correlate.join import JoinOptions, join


@pytest.mark.parametrize("name", SCENARIOS)
def test_journeys_are_as_right_as_required(name: str) -> None:
    scenario = make(name, seed=7, scale=0.4)
    found = score(scenario, join(scenario.batch, scenario.conntrack, JoinOptions()))
    assert found.problems == ()


STEADY = ("snat_dvr", "loss", "tenants", "span_duplicates", "vxlan", "icmp_equal_id0")


def journeys_of(batch: ObservationBatch) -> set[frozenset[tuple[int, int]]]:
    """Return the journeys as sets of (frame and point, IP id), which name rows in any order."""
    result = join(batch, (), JoinOptions())
    p = batch.packets
    name = (p["frame"].astype(np.int64) << 20) + p["point"]
    journeys: list[set[tuple[int, int]]] = [set() for _ in result.journeys]
    for journey, row in zip(
        result.hops["journey"].tolist(), result.hops["row"].tolist(), strict=True
    ):
        journeys[journey].add((int(name[row]), int(p["ip_id"][row])))
    return {frozenset(journey) for journey in journeys}


@pytest.mark.parametrize("name", STEADY)
def test_journeys_stay_when_rows_are_permuted(name: str) -> None:
    batch = make(name, seed=11, scale=0.2).batch
    order = np.random.default_rng(1).permutation(len(batch))
    assert journeys_of(batch.take(order)) == journeys_of(batch)


@pytest.mark.parametrize("name", STEADY)
def test_journeys_stay_when_all_clocks_shift_together(name: str) -> None:
    batch = make(name, seed=11, scale=0.2).batch
    moved = batch.take(np.arange(len(batch)))
    moved.packets["time_ns"] += 3_600_000_000_123
    assert journeys_of(moved) == journeys_of(batch)


@pytest.mark.parametrize("name", STEADY)
def test_journeys_stay_when_files_are_renamed(name: str) -> None:
    batch = make(name, seed=11, scale=0.2).batch
    points = tuple(replace(p, device=f"x{len(batch.points) - i}", capture=f"{i}.pcap")
                   for i, p in enumerate(batch.points))  # fmt: skip
    renamed = replace(batch, points=points, captures=tuple(p.capture or "" for p in points))
    assert journeys_of(renamed) == journeys_of(batch)


@pytest.mark.parametrize("name", STEADY)
def test_journeys_stay_when_a_capture_is_split_in_two_files(name: str) -> None:
    batch = make(name, seed=11, scale=0.2).batch
    split = batch.take(np.arange(len(batch)))
    p = split.packets
    later = (p["capture"] == 0) & (p["frame"] > p["frame"][p["capture"] == 0].max() // 2)
    p["capture"][later] = len(batch.captures)
    split = replace(split, captures=(*batch.captures, "rotated.pcap"))
    assert journeys_of(split) == journeys_of(batch)


@pytest.mark.parametrize("name", STEADY)
def test_journeys_stay_when_unrelated_traffic_is_added(name: str) -> None:
    batch = make(name, seed=11, scale=0.2).batch
    other = make("two_points", seed=12, scale=0.2).batch
    other = replace(other, points=tuple(replace(p, host="elsewhere") for p in other.points))
    other.packets["src_lo"] ^= np.uint64(0x3F00)
    other.packets["dst_lo"] ^= np.uint64(0x3F00)
    assert journeys_of(batch) <= journeys_of(concat([batch, other]))
