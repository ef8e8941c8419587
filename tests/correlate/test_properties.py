"""Journeys are a matter of the packets: not of names, files, order, clocks or other traffic."""

from dataclasses import replace

import numpy as np
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from scenarios.catalogue import make

from tracer.core.batch import ObservationBatch, concat
from tracer.correlate.join import join

SCENARIOS = ("snat_dvr", "loss", "tenants", "span_duplicates", "vxlan", "tcp_gso", "arp",
             "clock_offsets", "clock_step", "everything", "fragments", "udp_equal_id0",
             "icmp_equal_id0")  # fmt: skip
Case = tuple[str, int]
Journeys = set[frozenset[tuple[int, int]]]

scenarios = st.tuples(st.sampled_from(SCENARIOS), st.integers(1, 10_000))
few = settings(
    max_examples=6, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow],
)  # fmt: skip


def made(case: Case) -> ObservationBatch:
    """Return the observations of a small scenario."""
    return make(*case, 0.05).batch


def named(batch: ObservationBatch, marks: np.ndarray) -> Journeys:
    """Return the journeys as sets of (mark of a row, TTL), which name rows in any order."""
    result = join(batch)
    journeys: list[set[tuple[int, int]]] = [set() for _ in result.journeys]
    for journey, row in zip(
        result.hops["journey"].tolist(), result.hops["row"].tolist(), strict=True
    ):
        journeys[journey].add((int(marks[row]), int(batch.packets["ttl"][row])))
    return {frozenset(journey) for journey in journeys}


def numbered(batch: ObservationBatch) -> Journeys:
    """Return the journeys by row number."""
    return named(batch, np.arange(len(batch)))


@few
@given(scenarios, st.randoms(use_true_random=False))
def test_journeys_stay_when_packets_of_several_files_are_mixed(case: Case, random: object) -> None:
    batch = made(case)
    order = np.arange(len(batch))
    random.shuffle(order)  # type: ignore[attr-defined]  # hypothesis gives a Random
    # Each file keeps its own order, which says something: stamps that fall back are a clock's step.
    captures = batch.packets["capture"]
    for capture in np.unique(captures):
        places = np.flatnonzero(captures[order] == capture)
        order[places] = np.sort(order[places])
    assert named(batch.take(order), order) == numbered(batch)


@few
@given(scenarios, st.randoms(use_true_random=False))
def test_journeys_stay_when_files_are_permuted(case: Case, random: object) -> None:
    batch = made(case)
    captures = np.unique(batch.packets["capture"]).tolist()
    random.shuffle(captures)  # type: ignore[attr-defined]
    order = np.concatenate([np.flatnonzero(batch.packets["capture"] == c) for c in captures])
    assert named(batch.take(order), order) == numbered(batch)


@few
@given(scenarios, st.integers(-(10**17), 10**17))
def test_journeys_stay_when_all_clocks_shift_together(case: Case, shift_ns: int) -> None:
    batch = made(case)
    moved = batch.take(np.arange(len(batch)))
    moved.packets["time_ns"] += shift_ns
    assert numbered(moved) == numbered(batch)


@few
@given(scenarios, st.randoms(use_true_random=False))
def test_journeys_stay_when_files_are_renamed(case: Case, random: object) -> None:
    batch = made(case)
    names = [f"{i:03}" for i in range(len(batch.points))]
    random.shuffle(names)  # type: ignore[attr-defined]  # hypothesis gives a Random
    points = tuple(
        replace(p, device=f"x{n}", capture=f"{n}.pcap")
        for p, n in zip(batch.points, names, strict=True)
    )
    renamed = replace(batch, points=points, captures=tuple(p.capture or "" for p in points))
    assert numbered(renamed) == numbered(batch)


@few
@given(scenarios, st.data())
def test_journeys_stay_when_a_capture_is_split(case: Case, data: st.DataObject) -> None:
    batch = made(case)
    which = data.draw(st.integers(0, len(batch.captures) - 1))
    mine = np.flatnonzero(batch.packets["capture"] == which)
    at = data.draw(st.integers(0, len(mine)))
    split = batch.take(np.arange(len(batch)))
    split.packets["capture"][mine[at:]] = len(batch.captures)
    split = replace(split, captures=(*batch.captures, "rotated.pcap"))
    assert numbered(split) == numbered(batch)


@few
@given(scenarios)
def test_journeys_stay_when_the_captures_of_a_host_are_merged(case: Case) -> None:
    batch = made(case)
    # One pcapng file of several interfaces holds what several files hold, in order of time.
    order = np.lexsort((np.arange(len(batch)), batch.packets["time_ns"]))
    merged = batch.take(order)
    hosts = sorted({p.host or p.name for p in batch.points})
    of_point = np.array([hosts.index(p.host or p.name) for p in batch.points])
    merged.packets["capture"] = of_point[merged.packets["point"]]
    merged = replace(merged, captures=tuple(f"{host}.pcapng" for host in hosts))
    assert named(merged, order) == numbered(batch)


@few
@given(scenarios, st.integers(1, 10_000), st.sampled_from(("two_points", "udp_dns", "mixture")))
@example(("icmp_equal_id0", 2474), 176, "mixture")  # files of one name, the later ones earlier
def test_journeys_stay_when_unrelated_traffic_is_added(case: Case, seed: int, name: str) -> None:
    batch = made(case)
    other = make(name, seed, 0.05).batch
    other = replace(other, points=tuple(replace(p, host="elsewhere") for p in other.points))
    other.packets["src_lo"] ^= np.uint64(0x3F000000)
    other.packets["dst_lo"] ^= np.uint64(0x3F000000)
    assert numbered(batch) <= numbered(concat([batch, other]))
