"""Segments of flows against plain loops, and windows against all at once."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scenarios.catalogue import make

from tracer.core.batch import ObservationBatch
from tracer.core.journeys import NO_TIME, JourneySet
from tracer.core.ways import ways_of
from tracer.correlate.join import join
from tracer.correlate.windows.ordered import Horizon
from tracer.correlate.windows.stream import join_windows
from tracer.report.segment_table import segment_table
from tracer.report.statistics import flow_segments
from tracer.report.statistics.flow_segments import FlowSegments

SHORT = Horizon(quiet_ns=250_000_000, answer_ns=300_000_000, context_ns=2_000_000_000)
SHORTER = Horizon(quiet_ns=8_000_000, answer_ns=8_000_000, context_ns=40_000_000)


def pieces(batch: ObservationBatch) -> list[list[ObservationBatch]]:
    captures = (np.flatnonzero(batch.packets["capture"] == n) for n in range(len(batch.captures)))
    return [[batch.take(rows[i : i + 200]) for i in range(0, len(rows), 200)] for rows in captures]


def added(parts: Iterator[JourneySet], most_delays: int | None = None) -> tuple[Any, float, int]:
    segments, flows, count = FlowSegments(most_delays), None, 0
    for part in parts:
        segments.add(part)
        flows, count = part.flows, count + 1
    return segment_table(segments, flows).to_pylist(), segments.error, count


def looped(found: JourneySet) -> dict[tuple[int, int, int, int], list[int | None]]:
    """Return the delays of each flow, way and pair of points, hop by hop."""
    point, ways = found.observations.packets["point"], ways_of(found)
    delays = defaultdict(list)
    for journey, record in enumerate(found.journeys):
        hops = found.hops[record["first_hop"] : record["first_hop"] + record["n_hops"]]
        for hop in hops[1:]:
            before = hops[hop["parent"] - 1]
            ends = int(point[before["row"]]), int(point[hop["row"]])
            delta = int(hop["delta_ns"])
            known = delta != NO_TIME and delta >= 0
            delays[int(record["flow"]), int(ways[journey]), *ends].append(delta if known else None)
    return delays


@pytest.mark.parametrize("name", ["loss", "clock_offsets", "tcp_gso"])
def test_packets_and_delays_are_those_of_the_hops(name: str) -> None:
    found = join(make(name, 3).batch)
    segments = FlowSegments()
    segments.add(found)
    table = segments.table()
    delays = looped(found)
    assert segments.points == found.observations.points
    seen = set()
    for row in table[table["packets"] > 0]:
        key = tuple(int(row[part]) for part in ("flow", "way", "from_point", "to_point"))
        known = sorted(delay for delay in delays[key] if delay is not None)
        assert (row["packets"], row["timed"]) == (len(delays[key]), len(known))
        for column, percent in (("p50_ns", 50), ("p90_ns", 90), ("p99_ns", 99), ("max_ns", 100)):
            rank = -(-percent * len(known) // 100)
            assert row[column] == (known[rank - 1] if known else NO_TIME)
        seen.add(key)
    assert seen == set(delays)


def test_segments_are_in_the_order_of_the_way() -> None:
    found = join(make("snat_dvr", 3).batch)
    segments = FlowSegments()
    segments.add(found)
    rows = segment_table(segments, found.flows).to_pylist()
    ways = defaultdict(list)
    for row in rows:
        ways[row["flow"], row["way"]].append(row)
    assert len(ways) > 100
    for (_, way), mine in ways.items():
        assert [row["n"] for row in mine] == list(range(1, len(mine) + 1))
        names = [row["from_point"].rpartition("/")[2] for row in mine]
        assert names[0] == ("tap0" if way == "request" else "eth0")
        assert all(a["to_point"] == b["from_point"] for a, b in pairwise(mine))


@pytest.mark.parametrize("name", ["loss", "tcp_retransmissions", "tcp_out_of_order"])
def test_windows_add_up(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow_segments, "_FEW", 700)  # added up now and then, not at the end alone
    batch = make(name, 5).batch
    horizon = SHORTER if name == "tcp_out_of_order" else SHORT
    whole, error, _ = added(iter([join(batch)]))
    parts, also, count = added(
        join_windows(pieces(batch), rows=900, horizon=horizon, with_events=True)
    )
    assert count > 2
    assert (error, also) == (0, 0)
    assert parts == whole
    totals = Counter[str]()
    for row in whole:
        totals.update({key: row[key] for key in ("lost", "resent", "reordered")})
    assert totals["reordered" if name == "tcp_out_of_order" else "resent"] > 0


def test_the_order_in_which_journeys_come_does_not_matter() -> None:
    found = join(make("everything", 5).batch)
    whole, parts = FlowSegments(), FlowSegments()
    whole.add(found)
    half = np.arange(len(found.journeys)) < len(found.journeys) // 2
    for chosen in (np.flatnonzero(~half), np.flatnonzero(half)):
        parts.add(found, chosen)
    one, other = (segment_table(each, found.flows).to_pylist() for each in (whole, parts))
    assert one == other


def test_rounded_delays_are_as_right_as_they_say() -> None:
    found = join(make("tcp_many_flows", 3, 0.2).batch)
    exact, error, _ = added(iter([found]))
    assert error == 0
    rounded, error, _ = added(iter([found]), most_delays=2000)
    assert 0 < error < 0.04
    assert len(rounded) == len(exact)
    off = []
    for one, other in zip(exact, rounded, strict=True):
        assert one["max_ns"] == other["max_ns"]
        assert one["packets"] == other["packets"]
        for name in ("p50_ns", "p90_ns", "p99_ns"):
            off.append(abs(one[name] - other[name]) / one[name])
    assert 0 < max(off) <= error
